// The sentences that docs/benchmarks.md begins with, and README's list of where others are ahead. All are made from the
// figures: a difference below 5 % is none.
import { onLatency, onMemory, onWebSockets } from './verdicts/latency-memory.mjs'
import { onMiddlewares } from './verdicts/middlewares.mjs'
import { onProxy } from './verdicts/proxy.mjs'

/** `{ cheaper, same, dearer }`, sentences each. */
export function verdictsOf(results) {
  const all = [
    ...(results.proxy ? onProxy(results.proxy) : []),
    ...(results.latency ? onLatency(results.latency) : []),
    ...(results.memory ? onMemory(results.memory) : []),
    ...(results.websockets ? onWebSockets(results.websockets) : []),
    ...onMiddlewares(results),
  ]
  const of = (kind) => all.filter((each) => each.kind === kind).map(({ text }) => text)
  return { cheaper: of('cheaper'), same: of('same'), dearer: of('dearer') }
}

/** Where other proxies are ahead, without what the middlewares add to a route. */
export function othersAhead({ proxy, latency, memory, websockets }) {
  return verdictsOf({ proxy, latency, memory, websockets }).dearer
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
