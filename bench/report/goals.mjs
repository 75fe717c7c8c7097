// The goals of the proxy, each with what was measured and whether that meets it. The other benchmarks name theirs.
import { works } from '../load/works.mjs'
import { least, most, rowsOf, sidesOf } from './figures.mjs'
import { digits, table } from './format.mjs'

/** A line for each goal of these results, or an empty text where they have none. */
export function goalsTable(results) {
  const rows = goalsOf(results).map(({ text, sign, limit, value, met, beside }) => [
    text,
    `${sign} ${limit.toLocaleString('en')}`,
    digits(value),
    met ? 'met' : '**not met**',
    beside,
  ])
  return rows.length === 0 ? '' : table(['', 'goal', 'measured', '', ''], rows)
}

/** `{ text, limit, value, met, beside }` each; `beside` names what it was held against. */
function goalsOf(results) {
  const own = results.proxy ? goalsOfProxy(results.proxy) : []
  const others = Object.values(results).flatMap((result) => [
    ...(result.goals ?? []),
    ...(result.cases ?? []).flatMap(({ goals }) => goals),
  ])
  return [
    ...own,
    ...others.map((goal) => ({ ...goal, met: goal.value <= goal.limit, sign: '≤', beside: quietest(goal) })),
  ]
}

function quietest({ quietest: value }) {
  return value === undefined ? '' : `${digits(value)} in the quietest tenth of the rounds`
}

function goalsOfProxy(proxy) {
  const names = Object.keys(proxy.works)
  const small = names.filter((name) => name === 'get' || name === 'post')
  const large = names.filter((name) => works[name].bytes)
  return [
    ...small.map((name) => shareOfCheapest(proxy, name, 'on node:http', isOnNodeHttp)),
    ...small.map((name) => shareOfCheapest(proxy, name, 'of all', () => true)),
    ...small.map((name) => totalBesideFastify(proxy, name)),
    ...large.map((name) => bytesPerCpuSecond(proxy, name)),
    ...names.map((name) => lowest(proxy, name, 'p99', 'ms')),
    ...names.map((name) => lowest(proxy, name, 'peak', 'MB')),
  ].filter(Boolean)
}

/** undici, on which fast-proxy can be put too, is the better part of what there is to save. */
function isOnNodeHttp({ title }) {
  return !title.includes('undici')
}

function shareOfCheapest(proxy, name, which, isMeant) {
  const { own, inExpress } = sidesOf(rowsOf(proxy, name))
  const meant = inExpress.filter(isMeant)
  if (own?.above === undefined || meant.length === 0) return undefined
  const peer = least(meant, 'above')
  const text = `${works[name].title}: CPU above Express alone, against the cheapest peer in Express ${which} (aim 0.33)`
  const inQuiet = own.lowestAbove / least(meant, 'lowestAbove').lowestAbove
  const beside = `${digits(own.above)} µs, ${peer.title} ${digits(peer.above)} µs; of the lowest rounds ${digits(inQuiet)}`
  return atMost(text, 0.4, own.above / peer.above, beside)
}

function totalBesideFastify(proxy, name) {
  const { own, peers } = sidesOf(rowsOf(proxy, name))
  const peer = peers.find(({ host }) => host === 'fastify')
  if (!own || !peer) return undefined
  const text = `${works[name].title}: CPU in all, against ${peer.title} (outside Express)`
  return atMost(text, 1, own.cpu / peer.cpu, `${digits(own.cpu)} µs, ${digits(peer.cpu)} µs`)
}

function bytesPerCpuSecond(proxy, name) {
  const { own, peers } = sidesOf(rowsOf(proxy, name))
  if (!own || peers.length === 0) return undefined
  const peer = most(peers, 'perCpuSecond')
  const value = own.perCpuSecond / peer.perCpuSecond
  const beside = `${digits(own.perCpuSecond)} MB, ${peer.title} ${digits(peer.perCpuSecond)} MB`
  return {
    text: `${works[name].title}: bytes per CPU second, against the fastest peer`,
    limit: 1,
    value,
    met: value >= 1,
    sign: '≥',
    beside,
  }
}

function lowest(proxy, name, kind, unit) {
  const { own, peers } = sidesOf(rowsOf(proxy, name))
  if (!own || peers.length === 0) return undefined
  const peer = least(peers, kind)
  const what = kind === 'peak' ? 'peak memory' : kind
  const beside = `${digits(own[kind])} ${unit}, ${peer.title} ${digits(peer[kind])} ${unit}`
  return atMost(`${works[name].title}: ${what}, against the lowest peer`, 1, own[kind] / peer[kind], beside)
}

function atMost(text, limit, value, beside) {
  return { text, limit, value, met: value <= limit, sign: '≤', beside }
}
