// The goals of a proxied request, on each Node.
import { works } from '../../load/works.mjs'
import { least, most, nodesIn, rowsOf, sidesOf } from '../figures.mjs'
import { digits } from '../format.mjs'
import { atLeast, atMost, inGroup } from './goal.mjs'

/** What `bytes per CPU second` must be, as a multiple of: the best peer on Node, nginx without buffering, Go. */
const shares = {
  'download-100k': { best: 1.5, go: 1 },
  'download-10m': { best: 1.4, 'nginx-unbuffered': 1.4, go: 0.9 },
  'upload-10m': { best: 1.4 },
}

export function goalsOfProxy(proxy) {
  const names = Object.keys(proxy.works)
  const large = names.filter((name) => shares[name])
  return [
    ...inGroup('small', eachNode(proxy, names.filter(isSmall), goalsOfSmall)),
    ...inGroup('large', eachNode(proxy, large, goalsOfLarge)),
    ...inGroup('peak', eachNode(proxy, names, goalsOfPeak)),
    ...inGroup('latency', eachNode(proxy, names, goalsOfLatency)),
  ]
}

function isSmall(name) {
  return name === 'get' || name === 'post'
}

/** `goals(sides, title, node, name)` of each work on each Node, without those that lack a side. */
function eachNode(proxy, names, goals) {
  return names.flatMap((name) => {
    const rows = rowsOf(proxy, name)
    return nodesIn(rows).flatMap((node) => {
      const sides = sidesOf(rows, node)
      return sides.own && sides.peers.length > 0
        ? goals(sides, works[name].title, node, name).filter(Boolean)
        : []
    })
  })
}

function goalsOfSmall({ own, bare, inExpress, named }, title, node) {
  const isNew = node !== '20'
  const text = (what) => `${title}, Node ${node}: CPU ${what}`
  const fastify = named('fastify-http-proxy')
  const nginx = named('nginx')
  const go = named('go')
  return [
    inExpress.length > 0 && aboveExpress(own, inExpress, text),
    isNew && share(text('in Express, against @fastify/http-proxy'), 0.6, own, fastify),
    share(text('without Express, against @fastify/http-proxy'), 0.5, bare, fastify),
    share(text('without Express, against nginx'), 2.5, bare, nginx),
    isNew && share(text("without Express, against Go's ReverseProxy"), 0.9, bare, go),
    isNew && share(text("in Express, against Go's ReverseProxy"), 1, own, go),
  ]
}

function aboveExpress(own, inExpress, text) {
  const peer = least(inExpress, 'above')
  const beside = `${digits(own.above)} µs, ${peer.title} ${digits(peer.above)} µs`
  return atMost(
    text('above Express alone, against the cheapest peer there'),
    0.4,
    own.above / peer.above,
    beside,
  )
}

function share(text, limit, own, peer) {
  if (!own || !peer) return undefined
  return atMost(text, limit, own.cpu / peer.cpu, `${digits(own.cpu)} µs, ${digits(peer.cpu)} µs`)
}

function goalsOfLarge({ own, onNode, named }, title, node, name) {
  return Object.entries(shares[name]).map(([which, limit]) => {
    const isBest = which === 'best'
    const peer = isBest ? onNode.length > 0 && most(onNode, 'perCpuSecond') : named(which)
    if (!peer) return undefined
    const against = isBest ? 'the best peer on Node' : peer.title
    const beside = `${digits(own.perCpuSecond)} MB, ${peer.title} ${digits(peer.perCpuSecond)} MB`
    const text = `${title}, Node ${node}: bytes per CPU second, against ${against}`
    return atLeast(text, limit, own.perCpuSecond / peer.perCpuSecond, beside)
  })
}

function goalsOfPeak({ own, onNode }, title, node) {
  return [
    lowest(own, onNode, 'peak', `${title}, Node ${node}: peak memory, against the lowest on Node`, 'MB'),
  ]
}

function goalsOfLatency({ own, inExpress }, title, node) {
  return ['p50', 'p99'].map((kind) =>
    lowest(own, inExpress, kind, `${title}, Node ${node}: ${kind}, against the lowest in Express`, 'ms'),
  )
}

function lowest(own, peers, kind, text, unit) {
  if (peers.length === 0) return undefined
  const peer = least(peers, kind)
  const beside = `${digits(own[kind])} ${unit}, ${peer.title} ${digits(peer[kind])} ${unit}`
  return atMost(text, 1, own[kind] / peer[kind], beside)
}
