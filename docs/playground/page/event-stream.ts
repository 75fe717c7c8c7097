/** Server-sent events read with `fetch`, which unlike EventSource can be stopped and never asks again by itself. */
import { describeAnswer, PanelFailure, parseFailure } from './failures.js'
import { now } from './runs.js'

export interface ReceivedEvent {
  readonly type: string
  readonly data: string
  /** When it arrived, on this page's clock. */
  readonly at: number
}

/** Gives each event as soon as its last byte is there. */
export async function* readEvents(
  url: string,
  asked: { readonly signal: AbortSignal; readonly method?: string },
): AsyncGenerator<ReceivedEvent> {
  const { signal } = asked
  const response = await fetch(url, { ...asked, headers: { Accept: 'text/event-stream' } })
  if (!response.ok || response.body === null) {
    const words = describeAnswer(response.status, response.statusText, parseFailure(await response.text()))
    throw new PanelFailure(words)
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  let count = 0
  for (;;) {
    const { value, done } = await reader.read().catch((error: unknown) => {
      throw signal.aborted ? error : brokenAfter(count)
    })
    if (done) return
    const at = now()
    const blocks = (rest + value).split('\n\n')
    rest = blocks.pop() ?? ''
    for (const block of blocks) {
      count += 1
      yield { ...parseEvent(block), at }
    }
  }
}

function parseEvent(block: string): { type: string; data: string } {
  const lines = block.split('\n').map((line) => /^(\w+): ?(.*)$/.exec(line) ?? [])
  const [, , type = 'message'] = lines.find(([, name]) => name === 'event') ?? []
  const data = lines.filter(([, name]) => name === 'data').map(([, , text = '']) => text)
  return { type, data: data.join('\n') }
}

function brokenAfter(count: number): PanelFailure {
  return new PanelFailure({
    what: `The connection broke after ${count} events, before the answer was complete.`,
    code: 'no error code: the answer was cut',
    remedy: 'Is the playground’s server still running? Start it with “npm start”, then try again.',
  })
}
