/** Long bodies through the proxy: an upload one way, events the other. */
import { readEvents } from '../event-stream.js'
import { readJson } from '../failures.js'
import type { Panel } from '../panel.js'
import { now, type Run } from '../runs.js'
import type { Step } from '../story.js'
import { bytesText, many, median, msText } from '../words.js'

interface Digest {
  readonly bytes: number
  readonly pieces: number
  readonly startedAt: number
  readonly arrivals: readonly (readonly [ms: number, bytes: number])[]
}

const uploadBytes = 24 * 1024 * 1024

/** The upstream tells when each piece of the upload reached it. */
export async function uploadThrough({ say, show }: Panel, current: Run): Promise<void> {
  const body = new Blob([new Uint8Array(uploadBytes)])
  const sentAt = now()
  const response = await fetch(current.url('proxy/to/digest'), {
    method: 'POST',
    body,
    signal: current.signal,
  })
  const { bytes, pieces, startedAt, arrivals } = await readJson<Digest>(response)
  const begin = current.toHere(startedAt)
  const lastMs = arrivals.at(-1)?.[0] ?? 0
  const summary = `${bytesText(bytes)} reached B in ${many(pieces, 'piece')} over ${msText(lastMs)}, while they were still being sent`
  const steps: Step[] = [
    {
      from: { lane: 'browser', at: sentAt },
      to: { lane: 'upstream', at: begin },
      tone: 'ask',
      text: 'The upload begins: B sees its head',
    },
    ...arrivals.map(([ms, sum]): Step => {
      const text = `${bytesText(sum)} have arrived`
      return { from: { lane: 'upstream', at: begin + ms }, tone: 'plain', text, minor: true }
    }),
    {
      from: { lane: 'upstream', at: begin + lastMs },
      to: { lane: 'browser', at: now() },
      tone: 'good',
      text: 'B has read all of it, and answers',
    },
  ]
  const bars = [{ lane: 'upstream', from: begin, to: begin + lastMs, tone: 'good' }] as const
  show({ summary, steps, bars })
  say(`${summary}.`)
}

/** Server-sent events of the upstream, each drawn when it comes. */
export async function followEvents({ say, show }: Panel, current: Run): Promise<void> {
  const steps: Step[] = []
  const lateness: number[] = []
  for await (const { data, at } of readEvents(current.url('proxy/to/events'), { signal: current.signal })) {
    const { event, writtenAt } = JSON.parse(data) as { event: number; writtenAt: number }
    const from = { lane: 'upstream', at: current.toHere(writtenAt) }
    const late = Math.max(0, at - from.at)
    lateness.push(late)
    const text = `Event ${event} arrives ${msText(late)} after B wrote it`
    steps.push({
      from,
      to: { lane: 'browser', at },
      tone: late < 100 ? 'good' : 'late',
      text,
      minor: event > 1,
    })
    const summary = `${many(steps.length, 'event')} through A, ${msText(median(lateness))} after B wrote them (median)`
    show({ summary, steps, spanMs: 400 })
    say(`${summary}.`)
  }
}
