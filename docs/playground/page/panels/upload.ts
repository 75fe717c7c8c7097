/** maxBytes: an upload, how much of it left, and the answer that came. */
import { need } from '../elements.js'
import { describeAnswer, type FailureBody, PanelFailure, parseFailure } from '../failures.js'
import { showFacts } from '../facts.js'
import { createPanel } from '../panel.js'
import { type Moment, momentOf, now, type Run } from '../runs.js'
import type { Step } from '../story.js'
import { bytesText, msText } from '../words.js'

interface Answer {
  readonly status: number
  readonly reason: string
  readonly body: FailureBody & { readonly received?: number; readonly afterMs?: number }
  readonly sentAt: number
  readonly answeredAt: number
  /** How many bytes had left the browser by then. */
  readonly sent: number
}

const { root, run, say, tell, show } = createPanel('upload', [
  { id: 'browser', name: 'browser' },
  { id: 'gateway', name: 'sluiceway' },
  { id: 'handler', name: 'handler' },
])
const form = need(root, 'form', HTMLFormElement)
const size = need(root, 'select', HTMLSelectElement)
const meter = need(root, 'progress', HTMLProgressElement)
const facts = need(root, '.facts')

form.addEventListener('submit', (event) => {
  event.preventDefault()
  void run((current) => tryUpload(Number(size.value), current))
})

async function tryUpload(bytes: number, current: Run): Promise<void> {
  showFacts(facts, {})
  meter.max = bytes
  meter.value = 0
  say('Uploading …')
  const answer = await send(bytes, current, (sent) => {
    meter.value = sent
  })
  const next = await send(1024, current)
  if (answer.status > 299) tell(describeAnswer(answer.status, answer.reason, answer.body))
  showFacts(facts, factsOf(answer, next))
  draw(bytes, answer, next, await current.moments())
}

/** Posts so many bytes. Resolves with any answer. XMLHttpRequest, as fetch tells nothing of progress. */
function send(bytes: number, current: Run, onProgress: (sent: number) => void = () => {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    const sentAt = now()
    let sent = 0
    request.upload.addEventListener('progress', ({ loaded }) => {
      sent = loaded
      onProgress(sent)
    })
    request.addEventListener('load', () => {
      const { status, statusText: reason, responseText } = request
      resolve({ status, reason, body: parseFailure(responseText), sentAt, answeredAt: now(), sent })
    })
    request.addEventListener('error', () => reject(broken(sent)))
    request.addEventListener('abort', () => reject(new Error('stopped')))
    current.signal.addEventListener('abort', () => request.abort())
    request.open('POST', current.url('upload'))
    request.send(new Blob([new Uint8Array(bytes)]))
  })
}

function broken(sent: number): PanelFailure {
  return new PanelFailure({
    what: `The connection broke after ${bytesText(sent)}, and no answer came.`,
    code: 'no HTTP status: the connection failed',
    remedy: 'Is the playground’s server still running? Start it with “npm start”, then upload again.',
  })
}

function factsOf(answer: Answer, next: Answer): Record<string, string | undefined> {
  const refused = answer.status === 413
  return {
    'The answer': `${answer.status} ${answer.reason}`,
    'It came after': msText(answer.answeredAt - answer.sentAt),
    'Left the browser by then': bytesText(answer.sent),
    'The server decided after': refused ? msText(answer.body.afterMs ?? 0) : undefined,
    'Let in': bytesText(answer.body.received ?? 0),
    'The next request': `${next.status} ${next.reason} in ${msText(next.answeredAt - next.sentAt)}`,
  }
}

function draw(bytes: number, answer: Answer, next: Answer, moments: readonly Moment[]): void {
  const summary =
    answer.status === 413
      ? `${bytesText(bytes)} against a limit of 1 MB: the 413 is here after ${msText(answer.answeredAt - answer.sentAt)}`
      : `${bytesText(bytes)} is within the limit of 1 MB: the handler read all of it`
  say(`${summary}.`)
  const bars = [{ lane: 'browser', from: answer.sentAt, to: answer.answeredAt, tone: 'plain' }] as const
  show({
    summary,
    bars,
    steps: [...firstSteps(bytes, answer, moments), ...closing(moments), ...nextSteps(next, moments)],
  })
}

function firstSteps(bytes: number, answer: Answer, moments: readonly Moment[]): Step[] {
  const [asked, replied] = [momentOf(moments, 'gateway', 'request'), momentOf(moments, 'gateway', 'answered')]
  if (asked === undefined || replied === undefined) return []
  const refused = momentOf(moments, 'gateway', 'refused')
  const read = momentOf(moments, 'handler', 'read')
  const tone = refused === undefined ? 'good' : 'bad'
  return [
    {
      from: { lane: 'browser', at: answer.sentAt },
      to: { lane: 'gateway', at: asked.at },
      tone: 'ask',
      text: `The head arrives on connection ${String(asked['connection'])}: ${bytesText(bytes)} are to come`,
    },
    ...(refused === undefined ? (read === undefined ? [] : [passed(read)]) : [refusal(refused)]),
    {
      from: { lane: 'gateway', at: replied.at },
      to: { lane: 'browser', at: answer.answeredAt },
      tone,
      text: `The answer is ${answer.status} ${answer.reason}`,
    },
  ]
}

function refusal({ at, received }: Moment): Step {
  const text = `maxBytes refuses with ${bytesText(Number(received))} let in; no handler runs`
  return { from: { lane: 'gateway', at }, tone: 'bad', text }
}

function passed({ at, received }: Moment): Step {
  return {
    from: { lane: 'handler', at },
    tone: 'good',
    text: `The handler has read ${bytesText(Number(received))}`,
  }
}

function closing(moments: readonly Moment[]): Step[] {
  const closed = momentOf(moments, 'gateway', 'closed')
  if (closed === undefined) return []
  const text = `The connection closes; ${bytesText(Number(closed['bytes']))} had come in and were thrown away`
  return [{ from: { lane: 'gateway', at: closed.at }, tone: 'plain', text }]
}

function nextSteps({ sentAt, answeredAt, status, reason }: Answer, moments: readonly Moment[]): Step[] {
  const asked = moments.filter(({ event }) => event === 'request')[1]
  const replied = moments.filter(({ event }) => event === 'answered')[1]
  if (asked === undefined || replied === undefined) return []
  return [
    {
      from: { lane: 'browser', at: sentAt },
      to: { lane: 'gateway', at: asked.at },
      tone: 'ask',
      text: `The next request comes on connection ${String(asked['connection'])}`,
    },
    {
      from: { lane: 'gateway', at: replied.at },
      to: { lane: 'browser', at: answeredAt },
      tone: 'good',
      text: `Its answer is ${status} ${reason}`,
    },
  ]
}
