/** passthroughProxy: A asks B. What each of them saw, and on which connections. */
import { need } from '../elements.js'
import { showFacts } from '../facts.js'
import { readJson } from '../failures.js'
import { fromRaw, showHeaders } from '../header-table.js'
import { createPanel } from '../panel.js'
import { type Moment, momentOf, now, type Run } from '../runs.js'
import type { Step } from '../story.js'
import { many, median, msText } from '../words.js'
import { leaveHalfway } from './proxy-abort.js'
import { followEvents, uploadThrough } from './proxy-streams.js'

interface Ask {
  readonly sentAt: number
  readonly answeredAt: number
  readonly headers: Headers
}

const panel = createPanel('proxy', [
  { id: 'browser', name: 'browser' },
  { id: 'gateway', name: 'A', note: 'sluiceway' },
  { id: 'upstream', name: 'B', note: 'upstream' },
])
const { root, run, say, show } = panel
const facts = need(root, '.facts')
const headers = need(root, '.headers')

const actions: Readonly<Record<string, (current: Run) => Promise<void>>> = {
  once: (current) => ask(current, 1),
  ten: (current) => ask(current, 10),
  upload: (current) => uploadThrough(panel, current),
  events: (current) => followEvents(panel, current),
  leave: (current) => leaveHalfway(panel, current),
}
for (const [name, action] of Object.entries(actions)) {
  need(root, `[data-run=${name}]`).addEventListener(
    'click',
    () => void run((current) => start(action, current)),
  )
}

async function start(action: (current: Run) => Promise<void>, current: Run): Promise<void> {
  showFacts(facts, {})
  headers.hidden = true
  say('Asking …')
  await action(current)
}

async function ask(current: Run, times: number): Promise<void> {
  const asks: Ask[] = []
  for (let count = 0; count < times; count++) {
    const sentAt = now()
    const response = await fetch(current.url('proxy/to/hello'), { signal: current.signal })
    await readJson(response)
    asks.push({ sentAt, answeredAt: now(), headers: response.headers })
  }
  const moments = await current.moments()
  tell(asks, moments)
  showFacts(facts, connectionFacts(moments))
  if (times === 1) compareHeaders(asks[0] as Ask, moments)
}

function tell(asks: readonly Ask[], moments: readonly Moment[]): void {
  const took = msText(median(asks.map(({ sentAt, answeredAt }) => answeredAt - sentAt)))
  const summary =
    asks.length === 1
      ? `A asked B; the answer is here after ${took}`
      : `${asks.length} answers, ${took} each (median)`
  const trips = asks.map((each, index) => tripSteps(each, nthOf(moments, index), index))
  show({ summary, steps: trips.flat() })
  say(`${summary}.`)
}

/** The moments of the nth request: they come one after the other. */
function nthOf(moments: readonly Moment[], index: number): readonly Moment[] {
  const starts = moments
    .filter(({ lane, event }) => lane === 'gateway' && event === 'request')
    .map(({ at }) => at)
  const [from = 0, to = Infinity] = [starts[index], starts[index + 1]]
  return moments.filter(({ at }) => at >= from && at < to)
}

function tripSteps({ sentAt, answeredAt }: Ask, moments: readonly Moment[], index: number): Step[] {
  const [arrived, asked, heard] = ['request', 'asked', 'heard'].map((event) =>
    momentOf(moments, 'gateway', event),
  )
  const [atB, answer] = ['request', 'answered'].map((event) => momentOf(moments, 'upstream', event))
  if (!arrived || !asked || !heard || !atB || !answer) return []
  const minor = index > 0
  return [
    {
      from: { lane: 'browser', at: sentAt },
      to: arrived,
      tone: 'ask',
      minor,
      text: place('A', arrived),
    },
    { from: asked, to: atB, tone: 'ask', minor, text: place('B', atB) },
    { from: answer, to: heard, tone: 'good', minor, text: `B answers ${String(answer['status'])}` },
    { from: heard, to: { lane: 'browser', at: answeredAt }, tone: 'good', minor, text: 'The answer is here' },
  ]
}

function place(name: string, { connection, requestOnConnection }: Moment): string {
  return `${name} is asked: connection ${String(connection)}, request ${String(requestOnConnection)}`
}

/** How many requests went over how many connections, on both sides. */
function connectionFacts(moments: readonly Moment[]): Record<string, string> {
  return Object.fromEntries(
    Object.entries({ gateway: 'browser → A', upstream: 'A → B' }).map(([lane, name]) => {
      const requests = moments.filter((each) => each.lane === lane && each.event === 'request')
      const numbers = [...new Set(requests.map(({ connection }) => Number(connection)))]
      const on = `${numbers.length === 1 ? 'connection' : 'connections'} ${numbers.join(', ')}`
      return [name, `${many(requests.length, 'request')} on ${on}`]
    }),
  )
}

function compareHeaders(answer: Ask, moments: readonly Moment[]): void {
  const linesOf = (lane: string, event: string): string[] =>
    (momentOf(moments, lane, event)?.['headers'] ?? []) as string[]
  const received = [...answer.headers].flat()
  const question = fromRaw(linesOf('gateway', 'request'))
  showHeaders(need(root, '[data-headers=question]'), question, fromRaw(linesOf('upstream', 'request')))
  showHeaders(need(root, '[data-headers=answer]'), fromRaw(linesOf('upstream', 'head')), fromRaw(received))
  headers.hidden = false
}
