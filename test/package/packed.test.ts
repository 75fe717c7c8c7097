import { readFileSync } from 'node:fs'
import { type Analysis, checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import { expect } from 'chai'
import * as imported from 'sluiceway'
import { runUncovered } from '../support/process/run-uncovered.js'
import { type Installed, packedPackage } from '../support/repository/packed.js'
import { manifest, namesIn, root, subpaths } from '../support/repository/repository.js'
const entries = ['sluiceway', ...subpaths.map((subpath) => `sluiceway/${subpath}`)]

describe('the packed package', function () {
  this.timeout(60_000)

  let installed: Installed

  before(async () => {
    installed = await packedPackage()
  })

  it('contains the built files and the documents, and nothing else', () => {
    const others = installed.files.filter((file) => !file.startsWith('dist/'))
    expect(others.toSorted()).to.deep.equal(['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json'])
    const entryPoints = namesIn('lib')
      .filter((name) => name.endsWith('.ts'))
      .map((name) => name.slice(0, -3))
    for (const format of ['esm', 'cjs']) {
      for (const name of entryPoints) {
        // Of the other declarations, those that these lead to: a compiler that misses one fails in consumers.test.ts.
        expect(installed.files).to.include.members([
          `dist/${format}/${name}.js`,
          `dist/${format}/${name}.d.ts`,
        ])
      }
      const scripts = installed.files.filter(
        (file) => file.startsWith(`dist/${format}/`) && file.endsWith('.js'),
      )
      const joined = scripts.filter((file) => file.startsWith(`dist/${format}/shared/`))
      expect(scripts).to.have.length(entryPoints.length + joined.length)
      expect(joined).to.have.length.below(25)
    }
    const strange = installed.files.filter((file) => !/\.(?:js|d\.ts|md|json)$|^LICENSE$/.test(file))
    expect(strange).to.deep.equal([])
  })

  it('is smaller than 260 kB, including the HTTP client and the streams of the proxy', () => {
    expect(installed.size).to.be.below(260_000)
  })

  it('refers to no source map, because it has none', async () => {
    const { stdout } = await runUncovered(
      'grep',
      ['-rc', 'sourceMappingURL', 'dist/esm/index.js', 'dist/cjs/index.js'],
      {
        cwd: `${installed.folder}/node_modules/sluiceway`,
      },
    ).catch((error: { stdout: string }) => error)
    expect(stdout).to.equal('dist/esm/index.js:0\ndist/cjs/index.js:0\n')
  })

  it('has declarations that a project without esModuleInterop can check', async () => {
    const declarations = installed.files.filter((file) => file.endsWith('.d.ts'))
    expect(declarations).to.have.length.above(20)
    for (const file of declarations) {
      const text = readFileSync(`${installed.folder}/node_modules/sluiceway/${file}`, 'utf8')
      expect(text, file).not.to.match(/^import (?:type )?\w+ from 'node:/m)
    }
  })

  it('is imported as an ES module, root and each subpath', async () => {
    const program = `
      const names = {}
      for (const entry of ${JSON.stringify(entries)}) names[entry] = Object.keys(await import(entry)).sort()
      console.log(JSON.stringify(names))`
    expectNames(JSON.parse(await installed.run('import.mjs', program)))
  })

  it('has no import() as CommonJS: Jest, single executables and v8-compile-cache cannot run one', async () => {
    const program = `
      const vm = require('node:vm')
      const { readFileSync } = require('node:fs')
      const { createServer, request } = require('node:http')
      const usual = require.extensions['.js']
      require.extensions['.js'] = (module, file) => {
        if (!file.includes('/sluiceway/dist/')) return usual(module, file)
        const parameters = ['exports', 'require', 'module', '__filename', '__dirname']
        const run = vm.compileFunction(readFileSync(file, 'utf8'), parameters, { filename: file })
        run(module.exports, (name) => module.require(name), module, file, '')
      }
      const { bodyCache, passthroughProxy } = require('sluiceway')
      const cached = bodyCache()
      const upstream = createServer((req, res) => req.pipe(res)).listen(0, () => {
        const onResponse = async (incoming) => { incoming.replace((await incoming.buffer()) + '!') }
        const proxy = passthroughProxy('http://127.0.0.1:' + upstream.address().port, { onResponse })
        const server = createServer((req, res) => cached(req, res, async () => {
          const { a } = await req.bodyCache.urlencoded()
          res.setHeader('X-Form', JSON.stringify(a))
          proxy(req, res)
        })).listen(0, () => {
          request({ port: server.address().port, method: 'POST', agent: false }, async (res) => {
            console.log(res.headers['x-form'], String(await res.toArray()))
            process.exit()
          }).end('a[b]=c')
        })
      })`
    expect(await installed.run('without-import.cjs', program)).to.equal('{"b":"c"} a[b]=c!\n')
  })

  it('is required as CommonJS, root and each subpath', async () => {
    const program = `
      const names = {}
      for (const entry of ${JSON.stringify(entries)}) names[entry] = Object.keys(require(entry)).sort()
      console.log(JSON.stringify(names))`
    expectNames(JSON.parse(await installed.run('require.cjs', program)))
  })

  it('exports the same objects from root and subpath, in either format', async () => {
    const program = (load: string): string => `
      const root = ${load}('sluiceway')
      const same = [${subpaths.map((subpath) => `${load}('sluiceway/${subpath}')`).join(', ')}]
        .every((module) => Object.entries(module).every(([name, value]) => root[name] === value))
      console.log(same)`
    expect(await installed.run('identity.mjs', program('await import'))).to.equal('true\n')
    expect(await installed.run('identity.cjs', program('require'))).to.equal('true\n')
  })

  it('imports nothing that is not among its dependencies', async () => {
    const { stdout } = await runUncovered(
      'grep',
      ['-rhoE', '--include=*.js', `\\b(from|require\\(|import\\() ?['"][^.'",][^'"]*`, 'dist'],
      {
        cwd: `${installed.folder}/node_modules/sluiceway`,
      },
    )
    const names = stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.replace(/^.*['"]/, ''))
    const outside = names.filter((name) => !name.startsWith('node:') && !(name in manifest.dependencies))
    expect([...new Set(outside)]).to.deep.equal([])
  })

  it('passes publint --strict', async () => {
    const publint = runUncovered('node_modules/.bin/publint', ['run', installed.tarball, '--strict'], {
      cwd: root,
    })
    const { stdout } = await publint.catch((error: { stdout: string }) => error)
    expect(stdout).to.contain('All good!')
  })

  it('passes attw with its strict profile', async () => {
    const result = await checkPackage(createPackageFromTarballData(readFileSync(installed.tarball)))
    expect(result.types).to.deep.equal({ kind: 'included' })
    expect((result as Analysis).problems).to.deep.equal([])
  })
})

function expectNames(names: Record<string, string[]>): void {
  expect(names['sluiceway']).to.deep.equal(Object.keys(imported).toSorted())
  for (const subpath of subpaths) {
    const factory = subpath.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())
    expect(names[`sluiceway/${subpath}`]).to.include(factory)
    expect(names['sluiceway']).to.include.members(names[`sluiceway/${subpath}`] ?? [])
  }
}
