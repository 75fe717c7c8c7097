import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect } from 'chai'
import * as imported from 'sluiceway'
import { type Installed, installPacked } from '../support/packed.js'
import { manifest, namesIn, root, subpaths } from '../support/repository.js'

const run = promisify(execFile)
const entries = ['sluiceway', ...subpaths.map((subpath) => `sluiceway/${subpath}`)]

describe('the packed package', function () {
  this.timeout(60_000)

  let installed: Installed

  before(async () => {
    installed = await installPacked()
  })
  after(() => installed.remove())

  it('holds the built files and the documents, and nothing else', () => {
    const others = installed.files.filter((file) => !file.startsWith('dist/'))
    expect(others.toSorted()).to.deep.equal(['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json'])
    for (const format of ['esm', 'cjs']) {
      const modules = namesIn('lib')
        .filter((name) => name.endsWith('.ts'))
        .map((name) => name.slice(0, -3))
      for (const name of modules) {
        expect(installed.files).to.include.members([
          `dist/${format}/${name}.js`,
          `dist/${format}/${name}.d.ts`,
        ])
      }
    }
    const strange = installed.files.filter((file) => !/\.(?:js|d\.ts|js\.map|md|json)$|^LICENSE$/.test(file))
    expect(strange).to.deep.equal([])
  })

  it('is smaller than 250 kB', () => {
    expect(installed.size).to.be.below(250_000)
  })

  it('is imported as an ES module, root and each subpath', async () => {
    const program = `
      const names = {}
      for (const entry of ${JSON.stringify(entries)}) names[entry] = Object.keys(await import(entry)).sort()
      console.log(JSON.stringify(names))`
    expectNames(JSON.parse(await installed.run('import.mjs', program)))
  })

  it('is required as CommonJS, root and each subpath', async () => {
    const program = `
      const names = {}
      for (const entry of ${JSON.stringify(entries)}) names[entry] = Object.keys(require(entry)).sort()
      console.log(JSON.stringify(names))`
    expectNames(JSON.parse(await installed.run('require.cjs', program)))
  })

  it('has one identity for root and subpath, in either format', async () => {
    const program = (load: string): string => `
      const root = ${load}('sluiceway')
      const same = [${subpaths.map((subpath) => `${load}('sluiceway/${subpath}')`).join(', ')}]
        .every((module) => Object.entries(module).every(([name, value]) => root[name] === value))
      console.log(same)`
    expect(await installed.run('identity.mjs', program('await import'))).to.equal('true\n')
    expect(await installed.run('identity.cjs', program('require'))).to.equal('true\n')
  })

  it('needs nothing that is not among its dependencies', async () => {
    const { stdout } = await run('grep', ['-rhoE', `(from|require\\() ?['"][^.'"][^'"]*`, 'dist'], {
      cwd: `${installed.folder}/node_modules/sluiceway`,
    })
    const names = stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.replace(/^.*['"]/, ''))
    const outside = names.filter((name) => !name.startsWith('node:') && !(name in manifest.dependencies))
    expect([...new Set(outside)]).to.deep.equal([])
  })

  it('passes publint --strict', async () => {
    await run('node_modules/.bin/publint', ['run', installed.tarball, '--strict'], { cwd: root })
  })

  it('passes attw in its strict profile', async () => {
    await run('node_modules/.bin/attw', [installed.tarball, '--no-emoji', '--format', 'ascii'], { cwd: root })
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
