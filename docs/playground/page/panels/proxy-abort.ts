/** A client that leaves: B behind sluiceway hears of it, B behind a proxy of `fetch` and `pipe` works on. */
import { describeAnswer, PanelFailure, parseFailure } from '../failures.js'
import type { Panel } from '../panel.js'
import { type Moment, now, type Run } from '../runs.js'
import type { Bar, Lane, Step } from '../story.js'
import { msText } from '../words.js'

const leaveAfterMs = 300

const lanes: readonly Lane[] = [
  { id: 'proxied', name: 'B', note: 'sluiceway' },
  { id: 'browser', name: 'browser' },
  { id: 'by-hand', name: 'B', note: 'fetch, pipe' },
]
const paths = { proxied: 'proxy/to/work?way=proxied', 'by-hand': 'proxy/by-hand/work?way=by-hand' } as const
type Way = keyof typeof paths

/** Asks for a second of work on both ways, and leaves both at once. */
export async function leaveHalfway({ say, show }: Panel, current: Run): Promise<void> {
  const leaving = new AbortController()
  const signal = AbortSignal.any([current.signal, leaving.signal])
  const askedAt = now()
  const ways = Object.keys(paths) as Way[]
  const begun = await Promise.all(ways.map((way) => begin(current.url(paths[way]), signal)))
  await untilAborted(AbortSignal.any([current.signal, AbortSignal.timeout(leaveAfterMs)]))
  leaving.abort()
  const leftAt = now()
  await Promise.allSettled(begun.map(async (body) => body?.cancel()))
  if (current.signal.aborted) throw current.signal.reason
  say('You left. The server tells what became of the work …')
  const moments = await current.moments()
  const told = ways.map((way) => ({
    way,
    askedAt,
    leftAt,
    moments: moments.filter((each) => each['way'] === way),
  }))
  const [proxied, byHand] = told.map(afterwards)
  const summary = `You left. B behind sluiceway stopped ${proxied} later; B behind fetch and pipe worked on for ${byHand}`
  show({ lanes, summary, steps: told.flatMap(stepsOf), bars: told.flatMap(barOf) })
  say(`${summary}.`)
}

/** Resolves when the first bytes are there. */
async function begin(url: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array> | null> {
  const response = await fetch(url, { signal })
  if (response.ok) return response.body
  throw new PanelFailure(
    describeAnswer(response.status, response.statusText, parseFailure(await response.text())),
  )
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

interface Told {
  readonly way: Way
  readonly askedAt: number
  readonly leftAt: number
  readonly moments: readonly Moment[]
}

/** When B began, and when it ended or was left. */
function workOf({ moments }: Told): {
  readonly begun: Moment | undefined
  readonly over: Moment | undefined
} {
  const begun = moments.find(({ event }) => event === 'request')
  const over = moments.find(({ event }) => event === 'left' || event === 'answered')
  return { begun, over }
}

function afterwards(told: Told): string {
  const { over } = workOf(told)
  return msText(Math.max(0, Number(over?.at) - told.leftAt))
}

function barOf(told: Told): Bar[] {
  const { begun, over } = workOf(told)
  if (begun === undefined || over === undefined) return []
  return [{ lane: told.way, from: begun.at, to: over.at, tone: over.event === 'left' ? 'good' : 'late' }]
}

const names = { proxied: 'behind sluiceway', 'by-hand': 'behind fetch and pipe' } as const

function stepsOf(told: Told): Step[] {
  const { way, askedAt, leftAt } = told
  const { begun, over } = workOf(told)
  if (begun === undefined || over === undefined) return []
  const begins: Step = {
    from: { lane: 'browser', at: askedAt },
    to: { lane: way, at: begun.at },
    tone: 'ask',
    text: `B ${names[way]} begins to work for a second`,
  }
  const end = { lane: way, at: over.at }
  if (over.event === 'left') {
    const text = `The page leaves, and B ${names[way]} hears of it and stops`
    return [begins, { from: { lane: 'browser', at: leftAt }, to: end, tone: 'good', text }]
  }
  return [
    begins,
    { from: end, tone: 'late', text: `B ${names[way]} has worked to the end, and nobody reads it` },
  ]
}
