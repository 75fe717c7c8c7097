/** What all panels share: one action at a time that can be stopped, a status, failures in words, a timeline. */
import { html, need } from './elements.js'
import { describeFailure, type FailureWords } from './failures.js'
import { Run } from './runs.js'
import type { Lane, ToldStory } from './story.js'
import { createTimeline } from './timeline.js'

export interface Panel {
  readonly root: HTMLElement
  /** Shows a line of text beside the buttons; screen readers say it. */
  readonly say: (text: string) => void
  /** Shows a failure in words, to be read aloud at once. */
  readonly tell: (words: FailureWords) => void
  /** Draws the timeline. */
  readonly show: (story: ToldStory) => void
  /** Runs one action at a time; it can be stopped, and a failure is told in words. */
  readonly run: (action: (run: Run) => Promise<void>) => Promise<void>
}

/** Brings a panel's section to life. */
export function createPanel(id: string, lanes: readonly Lane[]): Panel {
  const root = need(document, `#${id}`)
  const controls = need(root, '.controls')
  const status = html('output', { 'data-status': true })
  const stop = html('button', { type: 'button', class: 'quiet', 'data-stop': true, hidden: true }, 'Stop')
  const problem = html('div', { role: 'alert', class: 'problem', hidden: true })
  controls.append(stop)
  controls.after(status, problem)

  const say = (text: string): void => {
    status.textContent = text
  }
  const tell = (words: FailureWords): void => {
    problem.replaceChildren(...problemParts(words))
    problem.hidden = false
  }
  const buttons = [...root.querySelectorAll<HTMLButtonElement>('button[data-run]')]
  return {
    root,
    say,
    tell,
    show: createTimeline(need(root, '[data-timeline]'), lanes),
    run: oneAtATime({ root, stop, buttons, problem, say, tell }),
  }
}

interface Parts {
  readonly root: HTMLElement
  readonly stop: HTMLButtonElement
  readonly buttons: readonly HTMLButtonElement[]
  readonly problem: HTMLElement
  readonly say: (text: string) => void
  readonly tell: (words: FailureWords) => void
}

function oneAtATime(parts: Parts): Panel['run'] {
  let controller: AbortController | undefined
  parts.stop.addEventListener('click', () => controller?.abort())
  parts.root.addEventListener('keydown', ({ key }) => {
    if (key === 'Escape') controller?.abort()
  })
  return async (action) => {
    if (controller !== undefined) return
    const current = new AbortController()
    controller = current
    setBusy(parts, true)
    try {
      const run = new Run(current.signal)
      await run.begin()
      await action(run)
    } catch (error) {
      if (current.signal.aborted) parts.say('Stopped.')
      else fail(parts, error)
    } finally {
      controller = undefined
      setBusy(parts, false)
    }
  }
}

function fail({ say, tell }: Parts, error: unknown): void {
  say('')
  tell(describeFailure(error))
}

/** Buttons stay where the focus can be: they are dimmed, not disabled. */
function setBusy({ root, stop, buttons, problem }: Parts, busy: boolean): void {
  root.setAttribute('aria-busy', String(busy))
  if (busy) problem.hidden = true
  for (const button of buttons) button.setAttribute('aria-disabled', String(busy))
  if (!busy && document.activeElement === stop) buttons[0]?.focus()
  stop.hidden = !busy
}

function problemParts({ what, code, remedy }: FailureWords): HTMLElement[] {
  return [
    html('p', { class: 'what' }, what),
    ...(code === undefined ? [] : [html('p', {}, html('code', {}, code))]),
    html('p', { class: 'remedy' }, html('strong', {}, 'What to do: '), remedy),
  ]
}
