/** pipeChild with `end: false`: three commands in one response, up to the first that fails. */
import { html, need } from '../elements.js'
import { type ReceivedEvent, readEvents } from '../event-stream.js'
import { createPanel } from '../panel.js'
import { type Moment, now, type Run } from '../runs.js'
import type { Bar, Step } from '../story.js'
import { many, median, msText } from '../words.js'

interface Line {
  readonly step: string
  readonly text: string
  readonly isError: boolean
  readonly printedAt: number
  readonly at: number
}

const expectedMs = 900

const { root, run, say, show } = createPanel('deploy', [
  { id: 'browser', name: 'browser' },
  { id: 'install', name: 'install' },
  { id: 'test', name: 'test' },
  { id: 'publish', name: 'publish' },
])
const terminal = need(root, '.terminal')
let lines: Line[] = []

need(root, '[data-run=all]').addEventListener('click', () => void run((current) => deploy('', current)))
need(root, '[data-run=broken]').addEventListener(
  'click',
  () => void run((current) => deploy('test', current)),
)

/** `broken` is the step that is to fail. */
async function deploy(broken: string, current: Run): Promise<void> {
  lines = []
  terminal.replaceChildren()
  say('Deploying …')
  const askedAt = now()
  let step = ''
  let outcome = ''
  const asked = { method: 'POST', signal: current.signal }
  for await (const event of readEvents(current.url(`deploy/run?broken=${broken}`), asked)) {
    if (event.type === 'end') outcome = event.data
    else if (event.type === 'step') step = event.data
    if (event.type === 'step') log(`$ npm run ${step}`, 'prompt')
    else if (event.type === 'message' || event.type === 'stderr') print(step, event, current)
  }
  tell(outcome, askedAt, await current.moments())
}

function log(text: string, kind?: string): void {
  terminal.append(html('li', { class: kind }, text))
  terminal.scrollTop = terminal.scrollHeight
}

function print(step: string, { type, data, at }: ReceivedEvent, current: Run): void {
  const space = data.indexOf(' ')
  const printedAt = current.toHere(Number(data.slice(0, space)))
  const line = { step, text: data.slice(space + 1), isError: type === 'stderr', printedAt, at }
  lines.push(line)
  log(line.text, line.isError ? 'warning' : undefined)
  show({ summary: `${many(lines.length, 'line')} so far`, steps: lineSteps(), spanMs: expectedMs })
}

function lineSteps(): Step[] {
  return lines.map(({ step, text, isError, printedAt, at }) => ({
    from: { lane: step, at: printedAt },
    to: { lane: 'browser', at },
    tone: isError ? 'late' : 'good',
    text,
    minor: true,
  }))
}

function tell(outcome: string, askedAt: number, moments: readonly Moment[]): void {
  const late = msText(median(lines.map(({ printedAt, at }) => Math.max(0, at - printedAt))))
  const commands = moments.filter(({ event }) => event === 'exited')
  const summary = `${many(commands.length, 'command')} in one response, each line ${late} after it was printed (median): ${outcome}`
  show({
    summary,
    steps: [...asking(askedAt, moments), ...lineSteps(), ...commands.map(exitStep)],
    bars: commands.flatMap((exited) => barOf(exited, moments)),
  })
  say(`${summary}.`)
}

function asking(askedAt: number, moments: readonly Moment[]): Step[] {
  const started = moments.find(({ event }) => event === 'started')
  if (started === undefined) return []
  return [
    {
      from: { lane: 'browser', at: askedAt },
      to: { lane: String(started['step']), at: started.at },
      tone: 'ask',
      text: 'The page asks, and the first command starts',
    },
  ]
}

function exitStep({ step, code, signal, at }: Moment): Step {
  const isLast = code !== 0 || step === 'publish'
  const exit = typeof signal === 'string' ? `ends by ${signal}` : `exits with ${String(code)}`
  const then = isLast ? 'the response ends' : 'the response stays open'
  return {
    from: { lane: String(step), at },
    tone: code === 0 ? 'good' : 'bad',
    text: `${String(step)} ${exit}; ${then}`,
  }
}

function barOf({ step, at, code }: Moment, moments: readonly Moment[]): Bar[] {
  const started = moments.find((moment) => moment.event === 'started' && moment['step'] === step)
  if (started === undefined) return []
  return [{ lane: String(step), from: started.at, to: at, tone: code === 0 ? 'plain' : 'bad' }]
}
