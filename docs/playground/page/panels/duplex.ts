/** Both ways over one POST. No browser does that over HTTP/1.1, so the server is the client too. */
import { need } from '../elements.js'
import { readJson } from '../failures.js'
import { createPanel } from '../panel.js'
import { type Moment, momentOf, type Run } from '../runs.js'
import type { Step } from '../story.js'
import { median, msText } from '../words.js'

interface Trip {
  readonly sent: Moment
  readonly heard: Moment
  readonly received: Moment
}

const { root, run, say, show } = createPanel('duplex', [
  { id: 'client', name: 'client' },
  { id: 'gateway', name: 'sluiceway' },
  { id: 'upstream', name: 'upstream' },
])

need(root, '[data-run]').addEventListener('click', () => void run(talk))

async function talk(current: Run): Promise<void> {
  say('Talking …')
  const response = await fetch(current.url('duplex/run'), { method: 'POST', signal: current.signal })
  const { answers } = await readJson<{ answers: readonly string[] }>(response)
  tell(answers, await current.moments())
}

function tell(answers: readonly string[], moments: readonly Moment[]): void {
  const trips = tripsOf(moments)
  const took = msText(median(trips.map(({ sent, received }) => received.at - sent.at)))
  const summary = `${trips.length} words answered inside one POST, ${took} there and back (median)`
  const ended = momentOf(moments, 'client', 'done')
  const asked = momentOf(moments, 'gateway', 'asked')
  if (ended === undefined || asked === undefined) return
  const steps: Step[] = [
    { from: asked, tone: 'ask', text: 'The proxy opens its request to the upstream' },
    ...trips.flatMap(tripSteps),
    { from: ended, tone: 'plain', text: 'The client ends its body, and the answer ends too' },
  ]
  show({ summary, steps })
  say(`${summary}: ${answers.join(' ')}`)
}

function tripsOf(moments: readonly Moment[]): Trip[] {
  const [sent, heard, received] = (
    [
      ['client', 'sent'],
      ['upstream', 'heard'],
      ['client', 'received'],
    ] as const
  ).map(([lane, event]) => moments.filter((each) => each.lane === lane && each.event === event)) as [
    Moment[],
    Moment[],
    Moment[],
  ]
  return sent.flatMap((each, index) => {
    const [there, back] = [heard[index], received[index]]
    return there === undefined || back === undefined ? [] : [{ sent: each, heard: there, received: back }]
  })
}

function tripSteps({ sent, heard, received }: Trip, index: number): Step[] {
  const minor = index > 0
  return [
    { from: sent, to: heard, tone: 'ask', minor, text: `“${String(sent['word'])}” goes up in the request` },
    {
      from: heard,
      to: received,
      tone: 'good',
      minor,
      text: `“${String(received['word'])}” comes down in the answer`,
    },
  ]
}
