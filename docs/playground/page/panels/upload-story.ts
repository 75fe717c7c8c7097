/** The story of two uploads: the one through maxBytes, the request after it, and the one without maxBytes. */
import type { FailureBody } from '../failures.js'
import { type Moment } from '../runs.js'
import type { Step, ToldStory } from '../story.js'
import { bytesText, msText } from '../words.js'

export interface Answer {
  readonly status: number
  readonly reason: string
  readonly body: FailureBody & { readonly received?: number; readonly afterMs?: number }
  readonly sentAt: number
  readonly answeredAt: number
  /** How many bytes had left the browser by then. */
  readonly sent: number
}

interface Uploads {
  readonly bytes: number
  readonly answer: Answer
  /** The request after it. */
  readonly next: Answer
  readonly without: Answer
}

export function storyOf(uploads: Uploads, moments: readonly Moment[]): ToldStory {
  const { answer, next, without } = uploads
  const [first = [], second = [], other = []] = requestsOf(moments)
  const bars = [
    { lane: 'browser', from: answer.sentAt, to: answer.answeredAt, tone: 'plain' },
    { lane: 'without', from: answer.sentAt, to: answer.sentAt + tookMs(without), tone: 'plain' },
  ] as const
  return {
    summary: summaryOf(uploads, other),
    bars,
    steps: [
      ...stepsWith(uploads, first),
      ...closing(first),
      ...stepsOfNext(next, second),
      ...stepsWithout(uploads, other),
    ],
  }
}

/** The moments of each request. They came one after the other; the end of a connection is noted later. */
function requestsOf(moments: readonly Moment[]): Moment[][] {
  const starts = moments.filter(({ event }) => event === 'request')
  const indexOf = ({ at, connection, event }: Moment): number =>
    event === 'closed'
      ? starts.findIndex((start) => start['connection'] === connection)
      : starts.findLastIndex((start) => start.at <= at)
  return starts.map((_start, index) => moments.filter((moment) => indexOf(moment) === index))
}

function tookMs({ sentAt, answeredAt }: Answer): number {
  return answeredAt - sentAt
}

function summaryOf({ bytes, answer, without }: Uploads, other: readonly Moment[]): string {
  if (answer.status !== 413)
    return `${bytesText(bytes)} is within the limit of 1 MB: both routes read all of it`
  const read = bytesText(bodyBytes(other, 'answered'))
  return `${bytesText(bytes)} against a limit of 1 MB: the 413 is here after ${msText(tookMs(answer))}; without maxBytes after ${msText(tookMs(without))}, when ${read} had been read`
}

function bodyBytes(moments: readonly Moment[], event: string): number {
  return Number(of(moments, event)?.['bodyBytes'] ?? 0)
}

function of(moments: readonly Moment[], event: string): Moment | undefined {
  return moments.find((moment) => moment.event === event)
}

function stepsWith({ bytes, answer }: Uploads, moments: readonly Moment[]): Step[] {
  const [asked, replied] = [of(moments, 'request'), of(moments, 'answered')]
  if (asked === undefined || replied === undefined) return []
  const refused = of(moments, 'refused')
  const decision = refused ?? of(moments, 'read') ?? replied
  const received = bytesText(Number(decision['received']))
  return [
    {
      from: { lane: 'browser', at: answer.sentAt },
      to: asked,
      tone: 'ask',
      text: `Connection ${String(asked['connection'])} brings the head: ${bytesText(bytes)} are to come`,
    },
    {
      from: decision,
      tone: refused === undefined ? 'good' : 'bad',
      text: refused ? 'maxBytes refuses it; no handler runs' : `The handler has read ${received}`,
    },
    {
      from: replied,
      to: { lane: 'browser', at: answer.answeredAt },
      tone: refused === undefined ? 'good' : 'bad',
      text: `The answer is ${answer.status}`,
    },
  ]
}

function closing(moments: readonly Moment[]): Step[] {
  const closed = of(moments, 'closed')
  if (closed === undefined) return []
  const place = `Connection ${String(closed['connection'])}`
  const text = `${place} closes; ${bytesText(bodyBytes(moments, 'closed'))} of the body were discarded`
  return [{ from: closed, tone: 'plain', text }]
}

function stepsOfNext({ sentAt, answeredAt, status }: Answer, moments: readonly Moment[]): Step[] {
  const [asked, replied] = [of(moments, 'request'), of(moments, 'answered')]
  if (asked === undefined || replied === undefined) return []
  const place = `connection ${String(asked['connection'])}`
  return [
    {
      from: { lane: 'browser', at: sentAt },
      to: asked,
      tone: 'ask',
      minor: true,
      text: `The next request comes on ${place}`,
    },
    {
      from: replied,
      to: { lane: 'browser', at: answeredAt },
      tone: 'good',
      text: `The next request, on ${place}, gets ${status}`,
    },
  ]
}

/** Drawn from the start of the first upload, as both of them began at once. */
function stepsWithout({ bytes, answer, without }: Uploads, moments: readonly Moment[]): Step[] {
  const [asked, replied] = [of(moments, 'request'), of(moments, 'answered')]
  if (asked === undefined || replied === undefined) return []
  const earlier = without.sentAt - answer.sentAt
  const refused = without.status === 413
  const read = bytesText(bodyBytes(moments, 'answered'))
  return [
    {
      from: { lane: 'without', at: answer.sentAt },
      to: { lane: 'gateway', at: asked.at - earlier },
      tone: 'ask',
      minor: true,
      text: `Without maxBytes: the head, ${bytesText(bytes)} are to come`,
    },
    {
      from: { lane: 'gateway', at: replied.at - earlier },
      to: { lane: 'without', at: without.answeredAt - earlier },
      tone: refused ? 'late' : 'good',
      text: `Without maxBytes: ${without.status} once ${read} have been read`,
    },
  ]
}
