// Compares ours with peers over the versions of Node.
import { nodesIn, sidesOf } from '../figures.mjs'
import { listed, nodesText, range } from '../format.mjs'

/** Differences below this share mean nothing. */
const NOISE = 0.05

export function isLess(ratio) {
  return ratio < 1 - NOISE
}

function isMore(ratio) {
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

/** "nginx 0.40, @fastify/http-proxy 0.71 to 0.80 and 3 more", the least first; without `most` all by name. */
export function namesOf(peers, most = Infinity) {
  const sorted = peers.toSorted((a, b) => Math.min(...a.ratios) - Math.min(...b.ratios))
  const named = sorted.slice(0, shown(sorted, most))
  const names = named.map(({ title, ratios, note = '' }) => `${title} ${range(ratios)}${note}`)
  const rest = sorted.length - named.length
  return rest === 0 ? names.join(', ') : listed([...names, `${rest} more`])
}

/** "and 1 more" would be no shorter. */
function shown({ length }, most) {
  return length === most + 1 ? length : most
}

/** Peers who are ahead of ours, behind it on each Node, and neither; those ahead with the Nodes where they are. */
function sortedOut(rows, kind) {
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

/** A figure (`kind`) of ours beside that of the others, in a list; none without a figure of ours or of another. */
export function beside(rows, kind, { work, unit }) {
  const own = rows.filter(({ name }) => name === 'sluiceway').map((row) => row[kind])
  const peers = sortedOut(rows, kind)
  if (own.length === 0 || Object.values(peers).every(({ length }) => length === 0)) return []
  return [{ work, unit, nodes: nodesIn(rows), own: range(own), ...peers }]
}
