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

/** "nginx 0.40 and @fastify/http-proxy 0.71 to 0.80 of ours, and 3 more", the least first; without `most` all by name. */
export function namesOf(peers, { most = Infinity, of = '' } = {}) {
  const sorted = peers.toSorted((a, b) => Math.min(...a.ratios) - Math.min(...b.ratios))
  const named = sorted.slice(0, shown(sorted, most))
  const names = named.map(({ title, ratios, note = '' }) => `${title} ${range(ratios)}${note}`)
  const rest = sorted.length - named.length
  return `${listed(names)}${of}${rest === 0 ? '' : `, and ${rest} more`}`
}

/** "and 1 more" would be no shorter. */
function shown({ length }, most) {
  return length === most + 1 ? length : most
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
export function sentenceOf(pairs, unit, most = Infinity) {
  const named = pairs.slice(0, shown(pairs, most))
  const texts = named.map(
    ({ what, own, peer, title }) => `${what} ${digits(own)} ${unit}, ${title} ${digits(peer)}`,
  )
  const rest = pairs.length - named.length
  return `${texts.join('; ')}${rest === 0 ? '' : `; and ${rest} more works`}`
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

/** What is said of a figure (`kind`) of ours beside that of the others: `{ kind, text }` each. */
export function onKind(rows, kind, { title, unit, most }) {
  const { ahead, behind } = sortedOut(rows, kind)
  const own = rows.filter(({ name }) => name === 'sluiceway').map((row) => row[kind])
  if (own.length === 0) return []
  const what = `**${title}**: ${range(own)} ${unit} (${nodesText(nodesIn(rows))})`
  return [
    behind.length > 0 && {
      kind: 'cheaper',
      text: `${what}. Others, as multiples of it: ${namesOf(behind, { most })}.`,
    },
    ahead.length > 0 && {
      kind: 'dearer',
      text: `${what}. Lower figures, as shares of it: ${namesOf(ahead, { most })}.`,
    },
  ].filter(Boolean)
}

export function kindOf(ratio) {
  if (isLess(ratio)) return 'dearer'
  return isMore(ratio) ? 'cheaper' : 'same'
}
