// What a proxied request costs beside others: CPU of each work, and memory at its peak.
import { works } from '../../load/works.mjs'
import { middleNode, nodesIn, rowsOf } from '../figures.mjs'
import { beside } from './compare.mjs'

export function onCpu(proxy) {
  return Object.keys(proxy.works).flatMap((name) =>
    beside(rowsOf(proxy, name), 'cpu', {
      work: titleOf(name),
      unit: `µs of CPU per ${works[name].unit}, Express included`,
    }),
  )
}

/** Memory at the peak beside peers on Node, on the one that stands for all. */
export function onPeak(proxy) {
  return Object.keys(proxy.works).flatMap((name) => {
    const rows = rowsOf(proxy, name)
    const here = rows.filter(({ node }) => node === middleNode(nodesIn(rows)))
    return beside(here, 'peak', { work: titleOf(name), unit: 'MB at the peak' })
  })
}

function titleOf(name) {
  return works[name].title.replace(/^server/, 'Server')
}
