// The goals of a proxied request, on each Node.
import { works } from '../../load/works.mjs'
import { least, most, nodesIn, rowsOf, sidesOf } from '../figures.mjs'
import { digits } from '../format.mjs'
import { atLeast, atMost } from './goal.mjs'

/** What `bytes per CPU second` must be, as a multiple of: the best peer on Node, nginx without buffering, Go. */
const large = {
  'download-100k': { best: 1.5, go: 1 },
  'download-10m': { best: 1.4, 'nginx-unbuffered': 1.4, go: 0.9 },
  'upload-10m': { best: 1.4 },
}

export function goalsOfProxy(proxy) {
  const names = Object.keys(proxy.works)
  return [
    ...eachNode(proxy, names.filter(isSmall), goalsOfSmall),
    ...eachNode(
      proxy,
      names.filter((name) => large[name]),
      goalsOfLarge,
    ),
    ...eachNode(proxy, names, goalsOfAll),
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
  return Object.entries(large[name]).map(([which, limit]) => {
    const isBest = which === 'best'
    const peer = isBest ? onNode.length > 0 && most(onNode, 'perCpuSecond') : named(which)
    if (!peer) return undefined
    const against = isBest ? 'the best peer on Node' : peer.title
    const beside = `${digits(own.perCpuSecond)} MB, ${peer.title} ${digits(peer.perCpuSecond)} MB`
    const text = `${title}, Node ${node}: bytes per CPU second, against ${against}`
    return atLeast(text, limit, own.perCpuSecond / peer.perCpuSecond, beside)
  })
}

function goalsOfAll({ own, inExpress, onNode }, title, node) {
  return [
    lowest(own, onNode, 'peak', `${title}, Node ${node}: peak memory, against the lowest on Node`, 'MB'),
    lowest(own, inExpress, 'p50', `${title}, Node ${node}: p50, against the lowest in Express`, 'ms'),
    lowest(own, inExpress, 'p99', `${title}, Node ${node}: p99, against the lowest in Express`, 'ms'),
  ]
}

function lowest(own, peers, kind, text, unit) {
  if (peers.length === 0) return undefined
  const peer = least(peers, kind)
  const beside = `${digits(own[kind])} ${unit}, ${peer.title} ${digits(peer[kind])} ${unit}`
  return atMost(text, 1, own[kind] / peer[kind], beside)
}
