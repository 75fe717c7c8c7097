// The charts of the proxies: bars in panels, light or dark as the reader's system is.
import { works } from '../load/works.mjs'
import { middleNode, nodesIn, rowsOf } from './figures.mjs'
import { digits } from './format.mjs'

const WIDTH = 900
const PANEL = { width: 430, gap: 40, labels: 200, bar: 18, step: 26, head: 50 }
const LEAST = 'CPU per request, of which the faint part is Express itself; less is better'
const MOST = 'megabytes per CPU second; more is better'

const panels = [
  { work: 'get', kind: 'cpu', unit: 'µs', note: LEAST },
  { work: 'post', kind: 'cpu', unit: 'µs', note: LEAST },
  { work: 'download-10m', kind: 'perCpuSecond', unit: 'MB', note: MOST },
  { work: 'upload-10m', kind: 'perCpuSecond', unit: 'MB', note: MOST },
]

/** Those of docs/benchmarks.md, and those of README. */
export const middlePanels = panels
export const readmePanels = [panels[0], panels[2]]

const style = `
    text { fill: #1f2933 }
    .note { font-size: 12px; fill: #52606d }
    .peer { fill: #9fb3c8 }
    .own { fill: #2b6cb0 }
    .floor { fill: #fff; opacity: 0.55 }
    .name { font-size: 13px }
    .strong { font-weight: 600 }
    @media (prefers-color-scheme: dark) {
      text { fill: #e4e7eb }
      .note { fill: #9aa5b1 }
      .peer { fill: #486581 }
      .own { fill: #63b3ed }
      .floor { fill: #000; opacity: 0.4 }
    }`

export function drawChart(proxy, wanted) {
  const drawn = panelsOf(proxy, wanted)
  const height = Math.max(...drawn.map(({ rows }) => PANEL.head + rows.length * PANEL.step)) + 24
  const total = Math.ceil(drawn.length / 2) * height
  const groups = drawn.map((panel, index) => {
    const x = (index % 2) * (PANEL.width + PANEL.gap)
    return `<g transform="translate(${x} ${Math.floor(index / 2) * height})">${drawPanel(panel)}\n  </g>`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${total}" role="img" aria-labelledby="title description" font-family="system-ui, -apple-system, 'Segoe UI', sans-serif" font-size="14">
  <title id="title">What a proxied request costs</title>
  <desc id="description">${drawn.map(describe).join(' ')}</desc>
  <style>${style}
  </style>
  ${groups.join('\n  ')}
</svg>
`
}

/** The same in words, for those who cannot see it. */
export function describePanels(proxy, wanted) {
  return panelsOf(proxy, wanted).map(describe).join(' ')
}

/** On the Node that stands for all: 24, or the newest. */
function panelsOf(proxy, wanted) {
  return wanted
    .filter(({ work }) => proxy.works[work])
    .map((panel) => {
      const rows = rowsOf(proxy, panel.work)
      const node = middleNode(nodesIn(rows))
      const here = rows.filter((row) => row.node === node || row.node === undefined)
      return { ...panel, node, rows: sorted(here, panel.kind) }
    })
}

function sorted(rows, kind) {
  const shown = rows.filter(({ host }) => host !== 'floor')
  return shown.toSorted((a, b) => (kind === 'cpu' ? a[kind] - b[kind] : b[kind] - a[kind]))
}

function drawPanel({ work, node, kind, unit, note, rows }) {
  const largest = Math.max(...rows.map((row) => row[kind]))
  const room = PANEL.width - PANEL.labels - 70
  const bars = rows.map((row, index) => {
    const y = PANEL.head + index * PANEL.step
    const own = row.name.startsWith('sluiceway')
    const length = Math.max(1, (Math.max(0, row[kind]) / largest) * room).toFixed(1)
    const bar = (className, width) =>
      `<rect class="${className}" x="${PANEL.labels}" y="${y}" width="${width}" height="${PANEL.bar}" rx="3" />`
    const express = kind === 'cpu' && row.host === 'Express' ? row.cpu - row.above : 0
    const pale = express > 0 ? bar('floor', ((express / largest) * room).toFixed(1)) : ''
    return `
    <text class="name${own ? ' strong' : ''}" x="${PANEL.labels - 8}" y="${y + 14}" text-anchor="end">${row.title}</text>
    ${bar(own ? 'own' : 'peer', length)}${pale}
    <text class="name${own ? ' strong' : ''}" x="${PANEL.labels + Number(length) + 6}" y="${y + 14}">${digits(row[kind])} ${unit}</text>`
  })
  return `
    <text class="strong" x="0" y="18">${works[work].title}, Node ${node}</text>
    <text class="note" x="0" y="37">${note}</text>${bars.join('')}`
}

function describe({ work, node, kind, unit, note, rows }) {
  const list = rows.map((row) => `${row.title} ${digits(row[kind])} ${unit}`).join(', ')
  return `${works[work].title}, Node ${node}, ${note.split(/[,;]/)[0]}: ${list}.`
}
