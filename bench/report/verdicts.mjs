// The sentences that docs/benchmarks.md begins with, and README's list of where others are ahead. All are made from the
// figures: a difference below 5 % is none.
import { onLatency, onMemory, onWebSockets } from './verdicts/latency-memory.mjs'
import { onRefused, onStreams } from './verdicts/many-clients.mjs'
import { onMiddlewares } from './verdicts/middlewares.mjs'
import { onProxy } from './verdicts/proxy.mjs'

/** `{ cheaper, same, dearer }`, sentences each; at most so many others by name in each. */
export function verdictsOf(results, most) {
  const all = [
    ...(results.proxy ? onProxy(results.proxy, most) : []),
    ...(results.latency ? onLatency(results.latency, most) : []),
    ...(results.memory ? onMemory(results.memory) : []),
    ...(results.websockets ? onWebSockets(results.websockets, most) : []),
    ...(results['idle-streams'] ? onStreams(results['idle-streams'], most) : []),
    ...(results['refused-uploads'] ? onRefused(results['refused-uploads'], most) : []),
    ...onMiddlewares(results),
  ]
  const of = (kind) => all.filter((each) => each.kind === kind).map(({ text }) => text)
  return { cheaper: of('cheaper'), same: of('same'), dearer: of('dearer') }
}

/** What matters most to users of a proxy, and how many others a sentence of README names. */
const TOPICS = ['GET, 300 bytes**', '10 MB up**', 'Server-sent events**', 'Memory at the peak**', 'p99 at']
const NAMED = 3

/** Where other proxies are ahead in what matters most, in short. */
export function othersAhead({ proxy, latency }) {
  const { dearer } = verdictsOf({ proxy, latency }, NAMED)
  return TOPICS.flatMap((topic) => dearer.filter((text) => text.startsWith(`**${topic}`)))
}

export function verdictsText(results) {
  const { cheaper, same, dearer } = verdictsOf(results)
  return [
    listUnder('## Cheaper for', cheaper),
    listUnder('## More expensive for', dearer),
    listUnder('## About the same', same),
  ]
    .filter(Boolean)
    .join('\n\n')
}

function listUnder(heading, sentences) {
  return sentences.length === 0 ? '' : `${heading}\n\n${bullets(sentences)}`
}

export function bullets(sentences) {
  return sentences.map((sentence) => `- ${sentence}`).join('\n')
}
