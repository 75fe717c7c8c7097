/** passthroughProxy: a compressed stream that is decompressed and changed on its way, piece by piece. */
import { html, need } from '../elements.js'
import { readEvents } from '../event-stream.js'
import { createPanel } from '../panel.js'
import { momentOf, type Run } from '../runs.js'
import type { Step } from '../story.js'
import { many, median, msText } from '../words.js'

const expectedMs = 500

const { root, run, say, show } = createPanel('changed', [
  { id: 'upstream', name: 'upstream', note: 'gzip' },
  { id: 'browser', name: 'browser' },
])
const terminal = need(root, '.terminal')

need(root, '[data-run]').addEventListener('click', () => void run(follow))

async function follow(current: Run): Promise<void> {
  terminal.replaceChildren()
  const steps: Step[] = []
  for await (const { data, at } of readEvents(current.url('changed'), { signal: current.signal })) {
    const { card, writtenAt } = JSON.parse(data) as { card: string; writtenAt: number }
    const from = { lane: 'upstream', at: current.toHere(writtenAt) }
    steps.push({
      from,
      to: { lane: 'browser', at },
      tone: 'good',
      text: `${card} arrives`,
      minor: steps.length > 0,
    })
    terminal.append(html('li', {}, card))
    show({ summary: summaryOf(steps), steps, spanMs: expectedMs })
  }
  const heard = momentOf(await current.moments(), 'gateway', 'heard')
  say(`${summaryOf(steps)}; the upstream’s coding was ${String(heard?.['coding'])}.`)
}

function summaryOf(steps: readonly Step[]): string {
  const late = median(steps.map(({ from, to = from }) => Math.max(0, to.at - from.at)))
  return `${many(steps.length, 'payment')} masked, each here ${msText(late)} after it was written (median)`
}
