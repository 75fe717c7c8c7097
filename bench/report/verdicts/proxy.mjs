// What a proxied request costs beside others: CPU of each work, and memory at its peak.
import { works } from '../../load/works.mjs'
import { nodesIn, rowsOf } from '../figures.mjs'
import { nodesText, range } from '../format.mjs'
import { besideLeast, kindOf, namesOf, sentenceOf, sortedOut } from './compare.mjs'

/** At most so many others by name in each sentence. */
export function onProxy(proxy, most) {
  const names = Object.keys(proxy.works)
  return [...names.flatMap((name) => onCpu(proxy, name, most)), ...onPeak(proxy, names, most)]
}

/** Others who are ahead, on some Node at least; those who are behind on each; and the rest. */
function onCpu(proxy, name, most) {
  const rows = rowsOf(proxy, name)
  const { ahead, behind, same } = sortedOut(rows, 'cpu')
  return [
    behind.length > 0 && { kind: 'cheaper', text: cheaper(rows, name, behind) },
    same.length > 0 && { kind: 'same', text: `**${titleOf(name)}**, CPU: ${namesOf(same)} of ours.` },
    ahead.length > 0 && {
      kind: 'dearer',
      text: `**${titleOf(name)}**: others need less CPU: ${namesOf(ahead, { most, of: ' of ours' })} (${nodesText(nodesIn(rows))}).`,
    },
  ].filter(Boolean)
}

function titleOf(name) {
  return works[name].title.replace(/^server/, 'Server')
}

function cheaper(rows, name, behind) {
  const own = rows.filter((row) => row.name === 'sluiceway').map(({ cpu }) => cpu)
  return `**${titleOf(name)}**: ${range(own)} µs of CPU per ${works[name].unit}, Express included (${nodesText(nodesIn(rows))}). Others, as multiples of it: ${namesOf(behind)}.`
}

/** Peak memory beside the peer on Node that needs least, on one Node. */
function onPeak(proxy, names, most) {
  const pairs = names
    .map((name) => ({
      what: titleOf(name),
      ...besideLeast(rowsOf(proxy, name), 'peak', ({ node }) => node !== undefined),
    }))
    .filter(({ ratio }) => ratio !== undefined)
  return ['cheaper', 'same', 'dearer'].flatMap((kind) => {
    const of = pairs.filter(({ ratio }) => kindOf(ratio) === kind)
    if (of.length === 0) return []
    const text = `**Memory at the peak**, beside the peer on Node ${of[0].node} that needs least: ${sentenceOf(of, 'MB', most)}.`
    return [{ kind, text }]
  })
}
