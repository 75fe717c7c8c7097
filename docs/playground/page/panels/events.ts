/** autoFlush: the same events from two routes, one flushed, one not. */
import { need } from '../elements.js'
import { readEvents } from '../event-stream.js'
import { createPanel } from '../panel.js'
import type { Run } from '../runs.js'
import type { Step } from '../story.js'
import { many, median, msText } from '../words.js'

/** One route, and what came from it. */
interface Route {
  readonly name: 'flushed' | 'held'
  readonly arrivals: { readonly writtenAt: number; readonly at: number }[]
}

/** Later than this is late: a person notices. */
const promptMs = 100
const expectedMs = 900

const { root, run, say, show } = createPanel('events', [
  { id: 'flushed', name: 'browser', note: 'autoFlush' },
  { id: 'handler', name: 'handler' },
  { id: 'held', name: 'browser', note: 'without it' },
])

need(root, '[data-run]').addEventListener('click', () => void run(followBoth))
void run(followBoth) // the first thing that a visitor sees is at work

async function followBoth(current: Run): Promise<void> {
  say('Running: the handler writes an event every 100 ms …')
  const routes: Route[] = [
    { name: 'flushed', arrivals: [] },
    { name: 'held', arrivals: [] },
  ]
  await Promise.all(routes.map((route) => follow(route, current, () => draw(routes))))
  say(`${summaryOf(routes)} (median).`)
}

async function follow({ name, arrivals }: Route, current: Run, drawn: () => void): Promise<void> {
  for await (const { data, at } of readEvents(current.url(`events/${name}`), { signal: current.signal })) {
    const { writtenAt } = JSON.parse(data) as { writtenAt: number }
    arrivals.push({ writtenAt: current.toHere(writtenAt), at })
    drawn()
  }
}

function draw(routes: readonly Route[]): void {
  show({ summary: summaryOf(routes), steps: routes.flatMap(stepsOf), spanMs: expectedMs })
}

function summaryOf(routes: readonly Route[]): string {
  return routes
    .filter(({ arrivals }) => arrivals.length > 0)
    .map((route) => `${many(route.arrivals.length, 'event')} ${lateness(route)}`)
    .join(', ')
}

function lateness({ name, arrivals }: Route): string {
  const late = median(arrivals.map(({ writtenAt, at }) => Math.max(0, at - writtenAt)))
  return `${msText(late)} late ${name === 'flushed' ? 'with autoFlush' : 'without it'}`
}

function stepsOf({ name, arrivals }: Route): Step[] {
  return arrivals.map(({ writtenAt, at }, index) => {
    const late = Math.max(0, at - writtenAt)
    return {
      from: { lane: 'handler', at: writtenAt },
      to: { lane: name, at },
      tone: late < promptMs ? 'good' : 'late',
      text: `Event ${index + 1} is here ${msText(late)} after it was written${index > 0 ? '' : pieces(arrivals)}`,
      minor: index > 0,
    }
  })
}

/** Says in how many pieces the events came: on a busy machine, the browser may read several flushed ones at once. */
function pieces(arrivals: Route['arrivals']): string {
  if (arrivals.length === 1) return ''
  const count = new Set(arrivals.map(({ at }) => at)).size
  const told = `; ${arrivals.length} events came in ${many(count, 'piece')}`
  return count === 1 ? `${told}: the compressor kept them` : told
}
