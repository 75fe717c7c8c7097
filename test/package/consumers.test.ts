import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect } from 'chai'
import { build } from 'esbuild'
import { runUncovered } from '../support/process/run-uncovered.js'
import { isNode22Installed } from '../support/repository/node22.js'
import { type Installed, linkPackage, packedPackage } from '../support/repository/packed.js'
import { namesIn, root } from '../support/repository/repository.js'
import { isThorough } from '../support/thorough.js'

const program = `
import { createServer } from 'node:http'
import { maxBytes, type MaxBytesOptions } from 'sluiceway/max-bytes'
import { autoFlush, bodyCache, isSluicewayError, passthroughProxy } from 'sluiceway'

const options: MaxBytesOptions = { limit: '1mb', lingerMs: undefined }
const steps = [maxBytes(options), bodyCache(), autoFlush(), passthroughProxy('http://127.0.0.1:1')]
export const server = createServer((req, res) => {
  steps[0]?.(req, res, async (error) => {
    const status: number = isSluicewayError(error) ? error.status : 200
    res.writeHead(status).write(await req.bodyCache.text())
    res.flush()
    // @ts-expect-error it takes nothing
    res.flush('all')
    // @ts-expect-error there is no such accessor
    res.end(await req.bodyCache.xml())
  })
})
`

/** Common compiler settings of TypeScript projects. The projects have no types of express. */
const projects = {
  'nodenext, ES modules': { type: 'module', module: 'nodenext', moduleResolution: 'nodenext' },
  'nodenext, CommonJS': { type: 'commonjs', module: 'nodenext', moduleResolution: 'nodenext' },
  bundler: { type: 'module', module: 'esnext', moduleResolution: 'bundler' },
}

/** The targets and types of Node that differ in what a stream and its iterator are; `projects` has the oldest of both. */
const platforms = {
  'esnext, the oldest types of Node': { target: 'esnext', nodeTypes: 'node_modules/@types/node' },
  'es2022, the newest types of Node': { target: 'es2022', nodeTypes: 'node_modules/types-node-newest' },
  'esnext, the newest types of Node': { target: 'esnext', nodeTypes: 'node_modules/types-node-newest' },
}
const newest = 'esnext, the newest types of Node'

/** The compilers by their names in node_modules. */
const compilers = { '5.9': 'typescript5', '6.0': 'typescript6', '7.0': 'typescript' }

const strict = {
  target: 'es2022',
  strict: true,
  exactOptionalPropertyTypes: true,
  types: ['node'],
  noEmit: true,
}

/** The packages that test/types imports besides sluiceway. */
const typedPeers = ['@types/express', 'arktype', 'expect-type', 'express', 'undici', 'valibot', 'zod']

/**
 * The compilers written in JavaScript take several seconds for each project: they all check test/types, on one
 * version of Node, because it makes no difference to them; the other projects are for SLUICEWAY_THOROUGH=1.
 */
const isFast = (version: string): boolean => version === '7.0' || isThorough
const isWorthwhile = (version: string): boolean => isFast(version) || process.versions.node.startsWith('20.')

describe('a TypeScript project with the packed package', function () {
  this.timeout(60_000)

  let installed: Installed

  before(async () => {
    installed = await packedPackage()
    installed.link('@types/node', 'undici-types', ...typedPeers)
    installed.linkTo('undici8', isNode22Installed ? 'test/node22/node_modules/undici' : 'node_modules/undici')
  })

  for (const [version, compiler] of Object.entries(compilers)) {
    if (!isWorthwhile(version)) continue
    describe(`under TypeScript ${version}`, () => {
      it('is compiled by that version', async () => {
        const { stdout } = await runUncovered(process.execPath, [`node_modules/${compiler}/bin/tsc`, '-v'], {
          cwd: root,
        })
        expect(stdout).to.contain(`Version ${version}.`)
      })

      for (const [name, { type, ...resolution }] of Object.entries(isFast(version) ? projects : {})) {
        it(`compiles strictly, declarations included: ${name}`, async () => {
          const folder = projectIn(installed, `${version} ${name}`, type, {
            ...resolution,
            skipLibCheck: false,
          })
          writeFileSync(path.join(folder, 'program.ts'), program)
          expect(await compile(compiler, folder)).to.equal('')
        })
      }

      for (const [name, { target, nodeTypes }] of Object.entries(platforms)) {
        if (!isFast(version) && name !== newest) continue
        it(`compiles with declarations that are checked: ${name}`, async () => {
          const { type, ...resolution } = projects['nodenext, ES modules']
          const options = { ...resolution, target, skipLibCheck: false }
          const folder = projectIn(installed, `${version} ${name}`, type, options)
          linkPackage(folder, '@types/node', nodeTypes)
          writeFileSync(path.join(folder, 'program.ts'), program)
          expect(await compile(compiler, folder)).to.equal('')
        })
      }

      it('has the types that test/types expects of each export', async () => {
        const { type, ...resolution } = projects['nodenext, ES modules']
        // The declarations of the schema libraries are their own affair.
        const options = {
          ...resolution,
          skipLibCheck: true,
          noUncheckedIndexedAccess: true,
          esModuleInterop: true,
        }
        const folder = projectIn(installed, `${version} types`, type, options)
        for (const name of namesIn('test/types')) {
          copyFileSync(`${root}/test/types/${name}`, path.join(folder, name))
        }
        expect(await compile(compiler, folder)).to.equal('')
      })
    })
  }
})

function projectIn(installed: Installed, name: string, type: string, compilerOptions: object): string {
  const folder = path.join(installed.folder, name.replace(/\W+/g, '-'))
  mkdirSync(folder)
  const files = {
    'package.json': { type },
    'tsconfig.json': { compilerOptions: { ...strict, ...compilerOptions } },
  }
  for (const [file, json] of Object.entries(files))
    writeFileSync(path.join(folder, file), JSON.stringify(json))
  return folder
}

/** The output of the compiler. */
async function compile(compiler: string, folder: string): Promise<string> {
  try {
    return (await runUncovered(process.execPath, [`${root}/node_modules/${compiler}/bin/tsc`, '-p', folder]))
      .stdout
  } catch (error) {
    return String((error as { stdout: unknown }).stdout)
  }
}

const REQUIRE = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url)"

const jestTest = `
const { maxBytes } = require('sluiceway/max-bytes')
const sluiceway = require('sluiceway')

test('the package is CommonJS to jest', () => {
  expect(maxBytes).toBe(sluiceway.maxBytes)
  expect(() => maxBytes('10x')).toThrow(/limit/)
})
test('and so is what it imports by itself', async () => {
  expect(typeof sluiceway.passthroughProxy('http://127.0.0.1:1')).toBe('function')
})
`

// Not a dev dependency: it brings 269 packages, half as many again as all others, one of which names binaries
// for platforms that not every registry has, so that npm cannot lock it.
;(isThorough ? describe : describe.skip)('a jest project in CommonJS (SLUICEWAY_THOROUGH=1)', function () {
  this.timeout(180_000)

  it('runs its tests with the packed package', async () => {
    const folder = path.join((await packedPackage()).folder, 'jest')
    mkdirSync(folder)
    writeFileSync(path.join(folder, 'package.json'), '{ "private": true }')
    const quiet = ['--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund']
    await runUncovered('npm', ['install', ...quiet, 'jest@30'], { cwd: folder })
    writeFileSync(path.join(folder, 'sluiceway.test.js'), jestTest)
    const { stderr } = await runUncovered(process.execPath, ['node_modules/jest/bin/jest.js', '--ci'], {
      cwd: folder,
    })
    expect(stderr).to.match(/Tests: +2 passed, 2 total/)
  })
})

const bundled = `
import { createServer } from 'node:http'
import { maxBytes } from 'sluiceway'

const limit = maxBytes(10)
const server = createServer((req, res) => limit(req, res, (error) => res.writeHead(error?.status ?? 200).end()))
server.listen(0, async () => {
  const url = 'http://127.0.0.1:' + server.address().port
  const statuses = []
  for (const length of [10, 11]) statuses.push((await fetch(url, { method: 'POST', body: 'x'.repeat(length) })).status)
  console.log(statuses.join())
  server.close()
})
`

describe('a program bundled with the packed package', function () {
  this.timeout(60_000)

  for (const format of ['cjs', 'esm'] as const) {
    it(`works, and contains neither undici nor the proxy if it uses only maxBytes: ${format}`, async () => {
      const installed = await packedPackage()
      const entry = path.join(installed.folder, 'bundled.mjs')
      writeFileSync(entry, bundled)
      const name = `bundle.${format === 'cjs' ? 'cjs' : 'mjs'}`
      const { metafile } = await build({
        entryPoints: [entry],
        outfile: path.join(installed.folder, name),
        bundle: true,
        platform: 'node',
        format,
        metafile: true,
        logLevel: 'silent',
        // What esbuild itself advises for dependencies in CommonJS.
        ...(format === 'esm' && { banner: { js: REQUIRE } }),
      })
      const held = Object.values(metafile.outputs).flatMap(({ inputs }) =>
        Object.entries(inputs).flatMap(([file, { bytesInOutput }]) => (bytesInOutput > 0 ? [file] : [])),
      )
      expect(held.filter((file) => file.includes('undici'))).to.deep.equal([])
      const text = readFileSync(path.join(installed.folder, name), 'utf8')
      const middlewares = [...text.matchAll(/function (\w+Middleware)\b/g)].map(([, named]) => named)
      expect(middlewares).to.deep.equal(['maxBytesMiddleware'])
      const { stdout } = await runUncovered(process.execPath, [name], { cwd: installed.folder })
      expect(stdout).to.equal('200,413\n')
    })
  }
})
