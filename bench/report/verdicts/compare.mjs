// Compares ours with peers over the versions of Node.
import { least, middleNode, nodesIn, sidesOf } from '../figures.mjs'
import { digits, listed, nodesText, range } from '../format.mjs'

/** Differences below this share mean nothing. */
const NOISE = 0.05

export function isLess(ratio) {
  return ratio < 1 - NOISE
}

export function isMore(ratio) {
  return ratio > 1 + NOISE
}

/** For each peer `{ title, ratios, nodes }`: its figure over ours, one for each Node. */
function ratiosOf(rows, kind) {
  const peers = new Map()
  for (const node of nodesIn(rows)) {
    const { own, peers: here } = sidesOf(rows, node)
    for (const { title, [kind]: value } of own ? here : []) {
      const peer = peers.get(title) ?? { title, ratios: [], nodes: [] }
      peer.nodes.push(node)
      peer.ratios.push(value / own[kind])
      peers.set(title, peer)
    }
  }
  return [...peers.values()]
}

/** "@fastify/http-proxy 0.71 to 0.80, nginx 0.40", the least first. */
export function namesOf(peers) {
  const sorted = peers.toSorted((a, b) => Math.min(...a.ratios) - Math.min(...b.ratios))
  return listed(sorted.map(({ title, ratios, note = '' }) => `${title} ${range(ratios)}${note}`))
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

/** Peers who are ahead of ours, behind it on each Node, and neither; those ahead with the Nodes where they are. */
export function sortedOut(rows, kind) {
  const peers = ratiosOf(rows, kind)
  const behind = peers.filter(({ ratios }) => ratios.every(isMore))
  const ahead = peers.filter(({ ratios }) => ratios.some(isLess))
  const same = peers.filter((peer) => !ahead.includes(peer) && !behind.includes(peer))
  return { ahead: ahead.map(whereAhead), behind, same }
}

function whereAhead({ title, ratios, nodes }) {
  const where = nodes.filter((_, index) => isLess(ratios[index]))
  const note = where.length === nodes.length ? '' : ` on ${nodesText(where)}`
  return { title, ratios: ratios.filter(isLess), note }
}

export function kindOf(ratio) {
  if (isLess(ratio)) return 'dearer'
  return isMore(ratio) ? 'cheaper' : 'same'
}
