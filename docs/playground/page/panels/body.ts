/** bodyCache: one POST, signed here, checked and parsed twice at the gateway, passed on. Three fingerprints of the same bytes. */
import { quote, setCommand } from '../commands.js'
import { html, need } from '../elements.js'
import { PanelFailure, readJson } from '../failures.js'
import { createPanel } from '../panel.js'
import { type Moment, momentOf, now, type Run } from '../runs.js'
import { canSign, sha256, sign } from '../signing.js'
import type { Step } from '../story.js'
import { msText } from '../words.js'

interface Fingerprint {
  readonly bytes: number
  readonly sha256: string
}

interface Report extends Fingerprint {
  readonly order: unknown
  readonly audit: unknown
}

interface Message {
  readonly signature: string
  readonly body: Uint8Array<ArrayBuffer>
}

const secret = 'sesame'
const places = ['browser', 'gateway', 'upstream'] as const

const { root, run, say, show } = createPanel('body', [
  { id: 'browser', name: 'browser' },
  { id: 'gateway', name: 'sluiceway' },
  { id: 'upstream', name: 'upstream' },
])
const form = need(root, 'form', HTMLFormElement)
const order = need(root, 'textarea', HTMLTextAreaElement)
const tamper = need(root, '[name=tamper]', HTMLInputElement)
const command = need(root, '[data-command]')

form.addEventListener('submit', (event) => {
  event.preventDefault()
  void run(post)
})
form.addEventListener('input', () => void updateCommand())
if (canSign) void updateCommand()
else setCommand(command, '# this page can sign only where it is opened as http://localhost or with https')

/** The command carries the signature of the text as it stands, so it works wherever it is pasted. */
async function updateCommand(): Promise<void> {
  const { signature, body } = await signedMessage()
  const parts = [
    `curl -s ${location.origin}/body`,
    "-H 'Content-Type: application/json'",
    `-H 'X-Signature: ${signature}'`,
    `--data-binary ${quote(new TextDecoder().decode(body))}`,
  ]
  setCommand(command, parts.join(' \\\n  '))
}

async function signedMessage(): Promise<Message> {
  const signed = new TextEncoder().encode(order.value)
  return { signature: await sign(signed, secret), body: tamper.checked ? changeOneByte(signed) : signed }
}

/** Another space in the middle: the JSON may still be right, the bytes are not. */
function changeOneByte(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const changed = bytes.slice()
  const at = Math.floor(changed.length / 2)
  changed[at] = changed[at] === 0x20 ? 0x09 : 0x20
  return changed
}

async function post(current: Run): Promise<void> {
  if (!canSign) throw cannotSign()
  clear()
  const { signature, body } = await signedMessage()
  showFingerprint('browser', { bytes: body.length, sha256: await sha256(body) })
  say('Posting …')
  const sentAt = now()
  const headers = { 'Content-Type': 'application/json', 'X-Signature': signature }
  const request = { method: 'POST', headers, body, signal: current.signal }
  const response = await fetch(current.url('body'), request)
  const answer = { sentAt, answeredAt: now(), status: response.status, bytes: body.length }
  tell(answer, await current.moments())
  showAnswer(response, await readJson<Fingerprint>(response))
}

function cannotSign(): PanelFailure {
  return new PanelFailure({
    what: 'This browser signs only on https or localhost pages.',
    remedy: 'Open the playground as http://localhost, on the machine where it runs.',
  })
}

function showAnswer(response: Response, atUpstream: Fingerprint): void {
  const report = JSON.parse(decodeURIComponent(response.headers.get('Playground-Report') ?? '{}')) as Report
  showFingerprint('gateway', report)
  showFingerprint('upstream', atUpstream)
  for (const shape of ['order', 'audit'] as const) {
    need(root, `[data-shape=${shape}]`).textContent = JSON.stringify(report[shape], null, 2)
  }
  const same = report.sha256 === atUpstream.sha256
  say(same ? 'The signature fits; two shapes; the same bytes in all three places.' : 'The bytes differ.')
}

function clear(): void {
  for (const cell of root.querySelectorAll('[data-place] td, [data-shape]')) cell.textContent = '–'
}

function showFingerprint(place: (typeof places)[number], { bytes, sha256: digest }: Fingerprint): void {
  const [size, print] = need(root, `[data-place=${place}]`).querySelectorAll('td')
  size?.replaceChildren(`${bytes} B`)
  print?.replaceChildren(html('code', {}, `${digest.slice(0, 12)}…`))
}

interface Answer {
  readonly sentAt: number
  readonly answeredAt: number
  readonly status: number
  readonly bytes: number
}

function tell(answer: Answer, moments: readonly Moment[]): void {
  const took = msText(answer.answeredAt - answer.sentAt)
  const summary =
    answer.status === 200
      ? `${answer.bytes} bytes posted once and read four times, in ${took}`
      : `Refused with ${answer.status} after ${took}; the upstream heard nothing`
  show({ summary, steps: [...gatewaySteps(answer, moments), ...lastSteps(answer, moments)] })
}

const readings: Readonly<Record<string, string>> = {
  order: 'Second: parsed as an order',
  audit: 'Third: parsed as an audit entry',
}

function gatewaySteps({ sentAt, bytes }: Answer, moments: readonly Moment[]): Step[] {
  return moments.flatMap(({ lane, event, at, fits }): Step[] => {
    if (lane !== 'gateway') return []
    const here = { lane, at }
    if (event === 'request') {
      return [
        {
          from: { lane: 'browser', at: sentAt },
          to: here,
          tone: 'ask',
          text: `${bytes} bytes are posted, once`,
        },
      ]
    }
    if (event === 'checked') {
      const text = `First: the signature ${fits === true ? 'fits' : 'does not fit'} the bytes`
      return [{ from: here, tone: fits === true ? 'good' : 'bad', text }]
    }
    const reading = readings[event]
    return reading === undefined ? [] : [{ from: here, tone: 'good', text: reading }]
  })
}

function lastSteps({ status, answeredAt }: Answer, moments: readonly Moment[]): Step[] {
  const asked = momentOf(moments, 'gateway', 'asked')
  const arrived = momentOf(moments, 'upstream', 'request')
  const read = momentOf(moments, 'upstream', 'read')
  const end = { lane: 'browser', at: answeredAt }
  if (asked === undefined || arrived === undefined || read === undefined) {
    const replied = momentOf(moments, 'gateway', 'answered')
    return replied ? [{ from: replied, to: end, tone: 'bad', text: `The answer is ${status}` }] : []
  }
  return [
    { from: asked, to: arrived, tone: 'ask', text: 'Fourth: proxied as it came' },
    { from: read, to: end, tone: 'good', text: 'The upstream answers' },
  ]
}
