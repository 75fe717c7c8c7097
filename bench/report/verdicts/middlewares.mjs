// What each middleware adds to a route, and what autoFlush saves beside res.flush().
import { range } from '../format.mjs'

/** The variant with each of them, and the one that is the same as the base. */
const AGAIN = 'without, again'
const added = {
  'max-bytes': { name: 'maxBytes', own: 'with maxBytes', again: AGAIN },
  'body-cache': { name: 'bodyCache', own: 'with bodyCache', again: AGAIN },
  'auto-flush': { name: 'autoFlush', own: 'with autoFlush', again: AGAIN },
  attach: { name: 'attach', own: "attach, and an 'upgrade' listener", again: 'the same, again' },
}
/** Less than this is not told from nothing, or less than what an identical variant differs by. */
const LEAST = 0.02

/** `{ name, title, nodes, cost }` for each route. */
export function onMiddlewares(results) {
  const costs = Object.entries(added).flatMap(([benchmark, names]) =>
    (results[benchmark]?.cases ?? []).flatMap((one) => onAdded(one, names)),
  )
  return [
    ...costs,
    ...(results['auto-flush']?.cases ?? []).flatMap(onFlush),
    ...(results['spilled-bodies']?.cases ?? []).flatMap(onSpilled),
  ]
}

function onAdded({ title, byNode }, { name, own, again: same }) {
  const ratios = ratiosOf(byNode, own)
  if (ratios.length === 0) return []
  const again = ratiosOf(byNode, same).map((ratio) => Math.abs(ratio - 1))
  const isNothing = ratios.every((ratio) => ratio - 1 <= Math.max(LEAST, ...again))
  const cost = isNothing ? 'no difference that can be told' : `${percent(ratios)} more CPU than without`
  return [{ name, title, nodes: Object.keys(byNode), cost }]
}

function ratiosOf(byNode, name, kind = 'ratio') {
  return Object.values(byNode)
    .map(({ rows = [] }) => rows.find((row) => row.name === name)?.[kind])
    .filter((value) => value !== undefined)
}

function percent(ratios) {
  return `${range(ratios, (ratio) => String(Math.max(0, Math.round((ratio - 1) * 100))))} %`
}

/** Events through gzip: CPU and bytes, beside a flush after each write. */
function onFlush({ title, byNode }) {
  const ratios = ratiosOf(byNode, 'autoFlush()')
  const flushed = ratiosOf(byNode, 'res.flush() after each write', 'bytes')
  if (ratios.length === 0 || flushed.length === 0) return []
  const bytes = ratiosOf(byNode, 'autoFlush()', 'bytes').map((value, index) => value / flushed[index])
  const cost = `${range(ratios)} of the CPU and ${range(bytes)} of the bytes of \`res.flush()\` after each write`
  return [{ name: 'autoFlush', title, nodes: Object.keys(byNode), cost }]
}

/** A large body that is read twice: CPU and memory beside a file of one's own. */
function onSpilled({ title, byNode }) {
  const [own, file] = ['bodyCache, read twice', 'a temporary file of its own, read twice']
  const [cpu, peak] = ['cpu', 'peak'].map((kind) =>
    ratiosOf(byNode, own, kind).map((value, index) => value / ratiosOf(byNode, file, kind)[index]),
  )
  if (cpu.length === 0) return []
  const cost = `${range(cpu)} of the CPU and ${range(peak)} of the memory of a temporary file of one's own`
  return [{ name: 'bodyCache', title, nodes: Object.keys(byNode), cost }]
}
