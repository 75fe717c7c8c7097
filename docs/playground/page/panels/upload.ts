/** maxBytes: the same upload with it and without it, and the answers that came. */
import { need } from '../elements.js'
import { showFacts } from '../facts.js'
import { type FailureBody, PanelFailure, parseFailure, serverGone } from '../failures.js'
import { createPanel } from '../panel.js'
import { now, type Run } from '../runs.js'
import { bytesText, msText } from '../words.js'
import { type Answer, storyOf } from './upload-story.js'

const { root, run, say, show } = createPanel('upload', [
  { id: 'browser', name: 'browser', note: 'maxBytes' },
  { id: 'gateway', name: 'server' },
  { id: 'without', name: 'browser', note: 'without it' },
])
const form = need(root, 'form', HTMLFormElement)
const size = need(root, 'select', HTMLSelectElement)
const numbers = need(root, '.numbers')

form.addEventListener('submit', (event) => {
  event.preventDefault()
  void run((current) => tryUpload(Number(size.value), current))
})

/** One after the other, so that neither slows the other down. */
async function tryUpload(bytes: number, current: Run): Promise<void> {
  numbers.hidden = true
  say('Uploading with maxBytes …')
  const answer = await send(bytes, 'upload', current)
  const next = await send(1024, 'upload', current)
  say('Uploading without it …')
  const without = await send(bytes, 'upload/without', current)
  const story = storyOf({ bytes, answer, next, without }, await current.moments())
  showFacts(need(numbers, '.facts'), factsOf(answer, next, without))
  numbers.hidden = false
  say(`${story.summary}.`)
  show(story)
}

/** Posts so many bytes. Resolves with any answer. XMLHttpRequest, as fetch tells nothing of progress. */
function send(bytes: number, path: string, current: Run): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    const body = new Blob([new Uint8Array(bytes)])
    const sentAt = now()
    let sent = 0
    request.upload.addEventListener('progress', ({ loaded }) => {
      sent = loaded
    })
    request.addEventListener('load', () => {
      const { status, statusText: reason, responseText } = request
      resolve({ status, reason, body: parseFailure(responseText), sentAt, answeredAt: now(), sent })
    })
    request.addEventListener('error', () => reject(broken(sent)))
    request.addEventListener('abort', () => reject(new Error('stopped')))
    current.signal.addEventListener('abort', () => request.abort())
    request.open('POST', current.url(path))
    request.send(body)
  })
}

function broken(sent: number): PanelFailure {
  if (sent === 0) return new PanelFailure(serverGone)
  return new PanelFailure({
    what: `The connection broke after ${bytesText(sent)}, and no answer came.`,
    code: 'no HTTP status: the connection failed',
    remedy: 'Is the playground’s server still running? Start it with “npm start”, then upload again.',
  })
}

function factsOf(answer: Answer, next: Answer, without: Answer): Record<string, string | undefined> {
  return {
    'The answer': `${answer.status} ${answer.reason}`,
    'Its body says': [answer.body.error, answer.body.code].filter(Boolean).join(' · ') || undefined,
    'It came after': msText(answer.answeredAt - answer.sentAt),
    'Had left the browser by then': `at least ${bytesText(answer.sent)}`,
    'The server decided after': decidedAfter(answer),
    'Without maxBytes it decided after': decidedAfter(without),
    'Let in': bytesText(answer.body.received ?? 0),
    'The next request': `${next.status} ${next.reason} in ${msText(next.answeredAt - next.sentAt)}`,
  }
}

function decidedAfter({ status, body }: Answer): string | undefined {
  return status === 413 ? msText((body as FailureBody & { afterMs?: number }).afterMs ?? 0) : undefined
}
