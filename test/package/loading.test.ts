import { expect } from 'chai'
import { type Installed, packedPackage } from '../support/repository/packed.js'
import { subpaths } from '../support/repository/repository.js'

/** What a fresh process has loaded after one import: our modules by their folder, packages, and modules of Node. */
interface Loaded {
  readonly own: readonly string[]
  readonly packages: readonly string[]
  readonly builtins: readonly string[]
}

const always = { packages: ['bytes', 'debug', 'fastest-levenshtein', 'ms'] }
/** Of http-errors, with its dependencies. */
const errors = ['depd', 'http-errors', 'inherits', 'setprototypeof', 'statuses', 'toidentifier']
/** They read bodies: qs, which has 27 dependencies, comes with the first form. */
const parsers = ['iconv-lite', 'raw-body', 'safer-buffer', 'secure-json-parse', 'unpipe']
const node = ['node', 'node/connection', 'node/request', 'node/response', 'node/streams']
const body = ['body', 'body/kept', 'body/refused', 'body/replay', 'node/memory']
const proxy = [
  'passthrough-proxy',
  'passthrough-proxy/headers',
  'passthrough-proxy/hook-bodies',
  'passthrough-proxy/request',
  'passthrough-proxy/response',
  'passthrough-proxy/upstream',
  'passthrough-proxy/upstream/http1',
  'passthrough-proxy/upstream/undici',
]
const flush = ['auto-flush']
const child = ['pipe-child', 'pipe-child/children']

/** The folders and packages of each subpath. A line that grows here makes every application that imports it slower. */
const expected: Readonly<
  Record<string, { readonly own: readonly string[]; readonly packages: readonly string[] }>
> = {
  attach: { own: ['attach', 'body', 'body/refused', 'node/memory'], packages: [] },
  'auto-flush': { own: [...flush, ...child], packages: errors },
  'body-cache': { own: [...body, 'body-cache'], packages: [...errors, ...parsers] },
  'max-bytes': { own: [...body, 'max-bytes'], packages: errors },
  'passthrough-proxy': { own: [...body, ...proxy], packages: errors },
  'pipe-child': { own: child, packages: errors },
  '': {
    own: ['attach', ...body, 'body-cache', ...flush, 'max-bytes', ...child, ...proxy],
    packages: [...errors, ...parsers],
  },
}

/** What takes long to load, and is needed only later: with the first compressed body, HTTPS upstream, file, proxy. */
const later = ['http2', 'tls', 'crypto', 'https', 'child_process', 'cluster', 'worker_threads', 'dns', 'repl']

describe('an import of the packed package', function () {
  this.timeout(60_000)

  let installed: Installed

  before(async () => {
    installed = await packedPackage()
  })

  it('is listed here for each subpath', () => {
    expect(Object.keys(expected).toSorted()).to.deep.equal(['', ...subpaths].toSorted())
  })

  for (const [subpath, { own, packages }] of Object.entries(expected)) {
    it(`loads only the files that it needs: ${subpath || 'the root'}`, async () => {
      const loaded = await loadedBy(installed, subpath)
      expect(loaded.own).to.deep.equal([...own, ...node, 'shared'].toSorted())
      expect(loaded.packages).to.deep.equal([...always.packages, ...packages].toSorted())
      expect(loaded.builtins.filter((name) => later.includes(name))).to.deep.equal([])
    })

    it(`loads nothing of Node's fetch as an ES module: ${subpath || 'the root'}`, async () => {
      const program = `await import('${entryOf(subpath)}'); console.log(process.moduleLoadList.join())`
      const loaded = await installed.run(`loading-${subpath}.mjs`, program)
      expect(loaded).to.contain('NativeModule http').and.not.to.contain('undici')
    })
  }
})

function entryOf(subpath: string): string {
  return subpath === '' ? 'sluiceway' : `sluiceway/${subpath}`
}

async function loadedBy({ run }: Pick<Installed, 'run'>, subpath: string): Promise<Loaded> {
  const program = `
    const { readFileSync } = require('node:fs')
    require('${entryOf(subpath)}')
    const files = Object.keys(require.cache)
    const named = (pattern) => (text) => [...text.matchAll(pattern)].map(([, name]) => name)
    const texts = files.filter((file) => file.includes('/sluiceway/dist/')).map((file) => readFileSync(file.replace('/cjs/', '/esm/'), 'utf8'))
    const sorted = (names) => [...new Set(names)].sort()
    console.log(JSON.stringify({
      own: sorted(texts.flatMap(named(/^\\/\\/ (.*)\\.js$/gm)).map((name) => name.replace(/\\/?[^/]*$/, '') || name)),
      packages: sorted(files.map((file) => /.*\\/node_modules\\/((?:@[^/]*\\/)?[^/]*)/.exec(file)?.[1])
        .filter((name) => name !== undefined && name !== 'sluiceway')),
      builtins: process.moduleLoadList.flatMap(named(/^NativeModule ([a-z]\\w*)$/g)),
    }))`
  return JSON.parse(await run(`loading-${subpath}.cjs`, program)) as Loaded
}
