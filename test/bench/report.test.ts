import { pathToFileURL } from 'node:url'
import { expect } from 'chai'
import { root } from '../support/repository/repository.js'

/** What these files of bench/report export. */
interface Report {
  verdictsText(this: void, results: unknown): string
  replaceParts(this: void, page: string, parts: Record<string, string>, file: string): string
  goalsTable(this: void, results: unknown): string
  groupsOf(this: void, results: unknown, tried: string): { heading: string; text: string }[]
  othersAhead(this: void, results: unknown): string
}

async function report(): Promise<Report> {
  const files = ['verdicts', 'parts', 'goals'].map((name) => `${root}/bench/report/${name}.mjs`)
  const modules = await Promise.all(
    files.map(async (file) => (await import(pathToFileURL(file).href)) as Partial<Report>),
  )
  return Object.assign({}, ...modules) as Report
}

/** Results of the small GET: microseconds of CPU by entry, one figure for each of Node 24 and 26. */
function proxyResults(cpu: Record<string, [number, number] | [number]>): object {
  const entries = Object.keys(cpu).map((name) => ({ name, title: name, host: hostOf(name), versions: {} }))
  const targets = Object.entries(cpu).flatMap(([name, values]) =>
    values.length === 1
      ? [{ key: name, name, failed: {}, excluded: [] }]
      : ['24', '26'].map((node) => ({ key: `${name}@${node}`, name, node, failed: {}, excluded: [] })),
  )
  const figures = Object.entries(cpu).flatMap(([name, values]) =>
    values.map((value, index) => {
      const key = values.length === 1 ? name : `${name}@${['24', '26'][index]}`
      return [key, { cpu: [value], p50: [1], p99: [1], peak: [100], errors: 0 }]
    }),
  )
  return { proxy: { entries, targets, missing: [], works: { get: Object.fromEntries(figures) as object } } }
}

function hostOf(name: string): string {
  if (name === 'floor') return 'floor'
  return name === 'go' ? 'none' : 'Express'
}

describe('the report of the benchmarks', () => {
  const results = proxyResults({
    floor: [50, 40],
    sluiceway: [100, 80],
    dear: [200, 120],
    ahead: [50, 40],
    mixed: [50, 120],
    alike: [101, 80],
    go: [60],
  })

  it('tells of each peer whether its figure is lower or higher, on each Node', async () => {
    const text = (await report()).verdictsText(results)
    expect(text).to.include(
      '| **GET, 300 bytes**: µs of CPU per request, Express included | 24, 26 | 80.0 to 100 | ahead 0.50, mixed 0.50 on Node 24, go 0.60 to 0.75 | alike 1.00 to 1.01 | dear 1.50 to 2.00 |',
    )
    expect(text, 'peak memory, on one Node').to.include(
      '| **GET, 300 bytes**: MB at the peak | 24 | 100 |  | dear 1.00, ahead 1.00, mixed 1.00, alike 1.00 |  |',
    )
  })

  it('holds the goals against the peers of the same Node', async () => {
    const table = (await report()).goalsTable(results)
    expect(table).to.include('| GET, 300 bytes, Node 24: CPU in Express, against Go')
    expect(table).to.match(/Node 26: CPU above Express alone.*\| ≤ 0\.4 \| .* \| \*\*missed\*\* \| 40\.0 µs/)
  })

  it('names at most three others in a cell of README, and the number of the rest', async () => {
    const names = ['a', 'b', 'c', 'd', 'e']
    const many = Object.fromEntries(names.map((name) => [name, [50, 40] as [number, number]]))
    const text = (await report()).othersAhead(proxyResults({ sluiceway: [100, 80], ...many }))
    expect(text).to.match(/ \| 80\.0 to 100 \| a 0\.50, b 0\.50, c 0\.50 and 2 more \|$/)
  })

  it('puts what was tried below the goals of its group, and other costs behind them', async () => {
    const tried = 'For people.\n\n## GET and POST\n\nTried much.\n\n## Refused uploads\n\nNot yet.\n'
    const groups = (await report()).groupsOf(results, tried)
    expect(groups[0]?.heading).to.equal('GET and POST')
    expect(groups[0]?.text).to.match(/are met\.\n\n\|[^]*\|\n\nTried much\.$/)
    expect(groups.at(-1)).to.deep.equal({ heading: 'Refused uploads', text: 'Not yet.' })
  })

  it('says what a refused upload costs beside others, and who delivers more', async () => {
    const row = (name: string, cpu: number, delivered: number): object => {
      return { crowd: 'chunks', name, title: name, cpu, delivered }
    }
    const rows = [row('max-bytes', 4000, 0.5), row('express-json', 8000, 1), row('nginx', 2000, 1)]
    const refused = { node: '24', clients: 1000, rows }
    const text = (await report()).verdictsText({ 'refused-uploads': refused })
    const what = 'A refused upload, 1,000 clients at once, chunks'
    expect(text).to.include(
      `| **${what}**: ms of CPU with maxBytes | 24 | 4.00 | nginx 0.50 |  | express-json 2.00 |`,
    )
    expect(text).to.include(
      `${what}: maxBytes delivers the 413 to 50.0 % of them, express-json to 100 % and nginx to 100 %.`,
    )
  })

  it('replaces the parts of a page, and no others', async () => {
    const { replaceParts } = await report()
    const page = 'before\n<!-- bench:x -->\nold\n<!-- /bench:x -->\nafter\n'
    expect(replaceParts(page, { x: 'new' }, 'a.md')).to.equal(
      'before\n<!-- bench:x -->\n\nnew\n\n<!-- /bench:x -->\nafter\n',
    )
    expect(() => replaceParts('nothing', { x: 'new' }, 'a.md')).to.throw('a.md has no <!-- bench:x -->')
  })
})
