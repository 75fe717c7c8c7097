// What each middleware adds to a route, and what autoFlush saves beside res.flush().
import { range } from '../format.mjs'
import { isLess, isMore } from './compare.mjs'

const ADDED = { 'max-bytes': 'with maxBytes', 'body-cache': 'with bodyCache', 'auto-flush': 'with autoFlush' }
const names = { 'max-bytes': 'maxBytes', 'body-cache': 'bodyCache', 'auto-flush': 'autoFlush' }
/** Less than this is not told from nothing, or less than what an identical variant differs by. */
const LEAST = 0.02

export function onMiddlewares(results) {
  const added = Object.keys(ADDED).flatMap((name) =>
    (results[name]?.cases ?? []).map((one) => onAdded(one, name)).filter(Boolean),
  )
  return [...added, ...(results['auto-flush']?.cases ?? []).flatMap(onFlush)]
}

function onAdded({ title, byNode }, name) {
  const ratios = ratiosOf(byNode, ADDED[name])
  if (ratios.length === 0) return undefined
  const again = ratiosOf(byNode, 'without, again').map((ratio) => Math.abs(ratio - 1))
  const nodes = nodesOf(byNode)
  const text = `**${names[name]}**, ${title}: `
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
