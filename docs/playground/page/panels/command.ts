/** pipeChild: what a command prints, line by line, and its end when nobody listens any more. */
import { html, need } from '../elements.js'
import { type ReceivedEvent, readEvents } from '../event-stream.js'
import { createPanel } from '../panel.js'
import { type Moment, momentOf, now, type Run } from '../runs.js'
import type { Step } from '../story.js'
import { many, median, msText } from '../words.js'

interface Line {
  readonly text: string
  readonly isWarning: boolean
  readonly printedAt: number
  readonly at: number
}

const leaveAfterMs = 400

const { root, run, say, show } = createPanel('command', [
  { id: 'browser', name: 'browser' },
  { id: 'gateway', name: 'sluiceway' },
  { id: 'command', name: 'command' },
])
const terminal = need(root, '.terminal')
let lines: Line[] = []

need(root, '[data-run=all]').addEventListener(
  'click',
  () => void run((current) => follow(current, current.signal)),
)
need(root, '[data-run=leave]').addEventListener('click', () => {
  void run((current) => follow(current, AbortSignal.any([current.signal, AbortSignal.timeout(leaveAfterMs)])))
})

/** Follows the command to its end, or until `signal` says to leave. */
async function follow(current: Run, signal: AbortSignal): Promise<void> {
  lines = []
  terminal.replaceChildren()
  say('Running …')
  const askedAt = now()
  let exit = ''
  try {
    for await (const event of readEvents(current.url('command/run'), { signal })) {
      if (event.type === 'exit') exit = exitCode(event)
      else print(event, current)
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
  const leftAt = signal.aborted ? now() : undefined
  tell(await current.moments(), { askedAt, leftAt, exit })
}

function exitCode({ data }: ReceivedEvent): string {
  return `exit code ${String((JSON.parse(data) as { code: number | null }).code)}`
}

function print({ type, data, at }: ReceivedEvent, current: Run): void {
  const space = data.indexOf(' ')
  const line = {
    text: data.slice(space + 1),
    isWarning: type === 'stderr',
    printedAt: current.toHere(Number(data.slice(0, space))),
    at,
  }
  lines.push(line)
  terminal.append(html('li', { class: line.isWarning && 'warning' }, line.text))
  terminal.scrollTop = terminal.scrollHeight
  show({ summary: `${many(lines.length, 'line')} so far`, steps: lineSteps(), spanMs: 1500 })
}

interface Times {
  readonly askedAt: number
  readonly leftAt: number | undefined
  readonly exit: string
}

function tell(moments: readonly Moment[], { askedAt, leftAt, exit }: Times): void {
  const started = momentOf(moments, 'command', 'started')
  const exited = momentOf(moments, 'command', 'exited')
  if (started === undefined || exited === undefined) return
  const steps: Step[] = [
    {
      from: { lane: 'browser', at: askedAt },
      to: { lane: 'gateway', at: momentOf(moments, 'gateway', 'request')?.at ?? askedAt },
      tone: 'ask',
      text: 'The page asks for the output of a command',
    },
    {
      from: { lane: 'command', at: started.at },
      tone: 'plain',
      text: `The command runs as process ${String(started['pid'])}`,
    },
    ...lineSteps(),
    ...(leftAt === undefined ? [] : [leaving(leftAt, moments)]),
    {
      from: { lane: 'command', at: exited.at },
      tone: leftAt === undefined ? 'good' : 'bad',
      text: exitText(exited),
    },
  ]
  const summary =
    leftAt === undefined
      ? wholeSummary(exit)
      : `You left; ${msText(Math.max(0, exited.at - leftAt))} later the command had ended`
  const bars = [{ lane: 'command', from: started.at, to: exited.at, tone: 'plain' }] as const
  show({ summary, steps, bars })
  say(`${summary}.`)
}

function lineSteps(): Step[] {
  return lines.map(({ text, isWarning, printedAt, at }) => ({
    from: { lane: 'command', at: printedAt },
    to: { lane: 'browser', at },
    tone: isWarning ? 'late' : 'good',
    text: `${isWarning ? 'stderr' : 'stdout'}: ${text}`,
    minor: true,
  }))
}

function leaving(leftAt: number, moments: readonly Moment[]): Step {
  const noticed = momentOf(moments, 'gateway', 'left')
  return {
    from: { lane: 'browser', at: leftAt },
    ...(noticed && { to: { lane: 'gateway', at: noticed.at } }),
    tone: 'bad',
    text: 'The page leaves, and sluiceway ends the process group',
  }
}

function exitText({ code, signal }: Moment): string {
  return typeof signal === 'string'
    ? `The command is gone, by ${signal}`
    : `The command exits with code ${String(code)}`
}

function wholeSummary(exit: string): string {
  const late = median(lines.map(({ printedAt, at }) => Math.max(0, at - printedAt)))
  return `${many(lines.length, 'line')}, each ${msText(late)} after it was printed (median); ${exit}`
}
