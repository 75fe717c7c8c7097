// What each middleware adds to a route, and what autoFlush saves beside res.flush().
import { range } from '../format.mjs'
import { isLess, isMore } from './compare.mjs'

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

export function onMiddlewares(results) {
  const costs = Object.entries(added).flatMap(([benchmark, names]) =>
    (results[benchmark]?.cases ?? []).map((one) => onAdded(one, names)).filter(Boolean),
  )
  return [
    ...costs,
    ...(results['auto-flush']?.cases ?? []).flatMap(onFlush),
    ...(results['spilled-bodies']?.cases ?? []).flatMap(onSpilled),
  ]
}

function onAdded({ title, byNode }, { name, own, again: same }) {
  const ratios = ratiosOf(byNode, own)
  if (ratios.length === 0) return undefined
  const again = ratiosOf(byNode, same).map((ratio) => Math.abs(ratio - 1))
  const nodes = nodesOf(byNode)
  const text = `**${name}**, ${title}: `
  if (ratios.every((ratio) => ratio - 1 <= Math.max(LEAST, ...again)))
    return { kind: 'same', text: `${text}no difference that can be told (${nodes}).` }
  return { kind: 'dearer', text: `${text}${percent(ratios)} more CPU than without (${nodes}).` }
}

function ratiosOf(byNode, name, kind = 'ratio') {
  return Object.values(byNode)
    .map(({ rows = [] }) => rows.find((row) => row.name === name)?.[kind])
    .filter((value) => value !== undefined)
}

function nodesOf(byNode) {
  return `Node ${Object.keys(byNode).join(', ')}`
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
  const kind =
    ratios.every(isLess) || bytes.every(isLess) ? 'cheaper' : ratios.some(isMore) ? 'dearer' : 'same'
  const text = `**autoFlush**, ${title}: ${range(ratios)} of the CPU and ${range(bytes)} of the bytes of \`res.flush()\` after each write (${nodesOf(byNode)}).`
  return [{ kind, text }]
}

/** A large body that is read twice: CPU and memory beside a file of one's own. */
function onSpilled({ title, byNode }) {
  const [own, file] = ['bodyCache, read twice', 'a temporary file of its own, read twice']
  const [cpu, peak] = ['cpu', 'peak'].map((kind) =>
    ratiosOf(byNode, own, kind).map((value, index) => value / ratiosOf(byNode, file, kind)[index]),
  )
  if (cpu.length === 0) return []
  const kind = cpu.every(isLess) ? 'cheaper' : cpu.some(isMore) ? 'dearer' : 'same'
  const text = `**bodyCache**, ${title}: ${range(cpu)} of the CPU and ${range(peak)} of the memory of a temporary file of one's own (${nodesOf(byNode)}).`
  return [{ kind, text }]
}
