/** attach: a WebSocket through the proxy, behind a check that is a plain middleware. */
import { need } from '../elements.js'
import { describeAnswer, PanelFailure } from '../failures.js'
import { createPanel } from '../panel.js'
import { type Moment, momentOf, now, type Run } from '../runs.js'
import type { Step } from '../story.js'
import { median, msText } from '../words.js'

interface Echo {
  readonly text: string
  readonly sentAt: number
  readonly at: number
}

const count = 5
const patienceMs = 5000

const { root, run, say, show } = createPanel('socket', [
  { id: 'browser', name: 'browser' },
  { id: 'gateway', name: 'sluiceway' },
  { id: 'upstream', name: 'upstream' },
])
const form = need(root, 'form', HTMLFormElement)
const loggedIn = need(root, '[name=session]', HTMLInputElement)
const message = need(root, '[name=message]', HTMLInputElement)

form.addEventListener('submit', (event) => {
  event.preventDefault()
  void run(talk)
})

async function talk(current: Run): Promise<void> {
  say('Connecting …')
  await fetch(`socket/${loggedIn.checked ? 'login' : 'logout'}`, { method: 'POST', signal: current.signal })
  const url = new URL(current.url('socket/chat'), location.href)
  url.protocol = url.protocol.replace('http', 'ws')
  const openedAt = now()
  const socket = new WebSocket(url)
  current.signal.addEventListener('abort', () => socket.close())
  const echoes: Echo[] = []
  try {
    if (!(await opens(socket))) return await explainRefusal(current, openedAt)
    const upAt = now()
    while (echoes.length < count) echoes.push(await echo(socket, `${message.value} ${echoes.length + 1}`))
    const closedAt = await close(socket)
    tell({ openedAt, upAt, closedAt, echoes }, await current.moments())
  } finally {
    socket.close()
  }
}

function opens(socket: WebSocket): Promise<boolean> {
  return new Promise((resolve) => {
    socket.addEventListener('open', () => resolve(true), { once: true })
    socket.addEventListener('error', () => resolve(false), { once: true })
  })
}

/** Sends a message and waits until the upstream has sent it back. */
async function echo(socket: WebSocket, text: string): Promise<Echo> {
  const sentAt = now()
  socket.send(text)
  const data = await nextMessage(socket)
  if (data !== text) throw new Error(`"${data}" came back for "${text}".`)
  return { text, sentAt, at: now() }
}

function nextMessage(socket: WebSocket): Promise<string> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(silent('The WebSocket gave no answer within 5 seconds.')),
      patienceMs,
    )
    socket.addEventListener(
      'message',
      ({ data }) => {
        clearTimeout(timer)
        resolve(String(data))
      },
      { once: true },
    )
    socket.addEventListener(
      'close',
      () => {
        clearTimeout(timer)
        reject(silent('The WebSocket closed before its answer came.'))
      },
      { once: true },
    )
  })
}

function silent(what: string): PanelFailure {
  return new PanelFailure({
    what,
    remedy: 'Is the playground’s server still running? Look at its terminal, then connect again.',
  })
}

/** Resolves when the other side has said goodbye too. */
function close(socket: WebSocket): Promise<number> {
  return new Promise((resolve) => {
    socket.addEventListener('close', () => resolve(now()), { once: true })
    socket.close()
  })
}

/** A browser tells its page no status of a failed handshake; the server knows. */
async function explainRefusal(current: Run, openedAt: number): Promise<void> {
  const at = now()
  const moments = await current.moments()
  const [asked, checked] = ['request', 'checked'].map((event) => momentOf(moments, 'gateway', event))
  const status = Number(checked?.['refusal'])
  if (!asked || !checked) throw silent('The handshake failed without an answer.')
  show({
    summary: `Refused with ${status}: the check ran before the proxy, and the upstream heard nothing`,
    steps: [
      {
        from: { lane: 'browser', at: openedAt },
        to: asked,
        tone: 'ask',
        text: 'The page asks for a WebSocket',
      },
      { from: checked, tone: 'bad', text: 'The check finds no session' },
      {
        from: checked,
        to: { lane: 'browser', at },
        tone: 'bad',
        text: `The answer is ${status}, as for any request`,
      },
    ],
  })
  const code = status === 401 ? 'NOT_LOGGED_IN' : 'OTHER_ORIGIN'
  throw new PanelFailure(describeAnswer(status, '', { error: 'the server refused the handshake', code }))
}

interface Talk {
  readonly openedAt: number
  readonly upAt: number
  readonly closedAt: number
  readonly echoes: readonly Echo[]
}

function tell({ openedAt, upAt, closedAt, echoes }: Talk, moments: readonly Moment[]): void {
  const took = msText(median(echoes.map(({ sentAt, at }) => at - sentAt)))
  const summary = `${echoes.length} messages echoed over one WebSocket, ${took} there and back (median)`
  const [asked, checked, passed] = ['request', 'checked', 'asked'].map((event) =>
    momentOf(moments, 'gateway', event),
  )
  const opened = momentOf(moments, 'upstream', 'opened')
  if (!asked || !checked || !passed || !opened) return
  const steps: Step[] = [
    {
      from: { lane: 'browser', at: openedAt },
      to: asked,
      tone: 'ask',
      text: 'The page asks for a WebSocket',
    },
    { from: checked, tone: 'good', text: 'The check finds a session' },
    { from: passed, to: opened, tone: 'ask', text: 'The proxy asks the upstream, without the cookie' },
    { from: opened, to: { lane: 'browser', at: upAt }, tone: 'good', text: 'The WebSocket is open' },
    ...echoes.flatMap((each, index) => echoSteps(each, moments, index)),
    {
      from: { lane: 'browser', at: closedAt },
      tone: 'plain',
      text: 'The page closes it, and both connections end',
    },
  ]
  show({ summary, steps })
  say(`${summary}.`)
}

function echoSteps({ text, sentAt, at }: Echo, moments: readonly Moment[], index: number): Step[] {
  const heard = moments.filter(({ lane, event }) => lane === 'upstream' && event === 'message')[index]
  if (heard === undefined) return []
  const minor = index > 0
  return [
    {
      from: { lane: 'browser', at: sentAt },
      to: heard,
      tone: 'ask',
      minor,
      text: `“${text}” goes to the upstream`,
    },
    { from: heard, to: { lane: 'browser', at }, tone: 'good', minor, text: `“${text}” comes back` },
  ]
}
