import { pathToFileURL } from 'node:url'
import { expect } from 'chai'
import { root } from '../support/repository.js'

interface Verdicts {
  readonly cheaper: string[]
  readonly same: string[]
  readonly dearer: string[]
}

/** What these files of bench/report export. */
interface Report {
  verdictsOf(this: void, results: unknown): Verdicts
  replaceParts(this: void, page: string, parts: Record<string, string>, file: string): string
  goalsTable(this: void, results: unknown): string
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

  it('says of each peer whether it is cheaper or dearer, by its figures', async () => {
    const { cheaper, same, dearer } = (await report()).verdictsOf(results)
    expect(cheaper[0]).to.match(/: 80\.0 to 100 µs of CPU per request.* dear 1\.50 to 2\.00\.$/)
    expect(dearer).to.deep.equal([
      '**GET, 300 bytes**: others need less CPU: ahead 0.50, mixed 0.50 on Node 24 and go 0.60 to 0.75 of ours (Node 24 and 26).',
    ])
    expect(same[0]).to.equal('**GET, 300 bytes**, CPU: alike 1.00 to 1.01 of ours.')
  })

  it('holds the goals against the peers of the same Node', async () => {
    const table = (await report()).goalsTable(results)
    expect(table).to.include('| GET, 300 bytes, Node 24: CPU in Express, against Go')
    expect(table).to.match(/Node 26: CPU above Express alone.*\| ≤ 0\.4 \| .* \| \*\*missed\*\* \| 40\.0 µs/)
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
