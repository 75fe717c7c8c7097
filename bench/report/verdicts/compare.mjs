// Compares ours with peers over the versions of Node.
import { least, middleNode, nodesIn, sidesOf } from '../figures.mjs'
import { digits, listed, range } from '../format.mjs'

/** Differences below this share mean nothing. */
const NOISE = 0.05

export function isLess(ratio) {
  return ratio < 1 - NOISE
}

export function isMore(ratio) {
  return ratio > 1 + NOISE
}

/** For each peer `{ title, host, ratios }`: its figure over ours, one for each Node. */
export function ratiosOf(rows, kind) {
  const peers = new Map()
  for (const node of nodesIn(rows)) {
    const { own, peers: here } = sidesOf(rows, node)
    for (const { title, host, [kind]: value } of own ? here : []) {
      const peer = peers.get(title) ?? { title, host, ratios: [] }
      peer.ratios.push(value / own[kind])
      peers.set(title, peer)
    }
  }
  return [...peers.values()]
}

/** "@fastify/http-proxy 0.71 to 0.80, nginx 0.40", the least first. */
export function namesOf(peers) {
  const sorted = peers.toSorted((a, b) => Math.min(...a.ratios) - Math.min(...b.ratios))
  return listed(sorted.map(({ title, ratios }) => `${title} ${range(ratios)}`))
}

/** Ours on the Node that stands for all, and the peer with the least of those that `isMeant`. */
export function besideLeast(rows, kind, isMeant) {
  const node = middleNode(nodesIn(rows))
  const { own, peers } = sidesOf(rows, node)
  const meant = peers.filter(isMeant)
  if (!own || meant.length === 0) return undefined
  const peer = least(meant, kind)
  return { node, own: own[kind], peer: peer[kind], title: peer.title, ratio: peer[kind] / own[kind] }
}

/** One sentence for all of `pairs` (`{ what, own, peer, title, ratio }`) of a kind. */
export function sentenceOf(pairs, unit) {
  return pairs
    .map(({ what, own, peer, title }) => `${what} ${digits(own)} ${unit}, ${title} ${digits(peer)}`)
    .join('; ')
}

export function kindOf(ratio) {
  if (isLess(ratio)) return 'dearer'
  return isMore(ratio) ? 'cheaper' : 'same'
}
