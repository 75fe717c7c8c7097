import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** The test suite of a peer, and the code that it judges. */
export interface Suite {
  readonly name: string
  /** The source package of Debian's that has the suite; what npm publishes has none. */
  readonly source: string
  /** What npm installs as the code. */
  readonly code: string
  /** Whether the middlewares go into every Express application, or in front of every server. */
  readonly inserts: 'application' | 'server'
  /** Parts of the suite that this code cannot load. */
  readonly without?: readonly string[]
  /** What the suite needs and this code no longer brings. */
  readonly needs?: Readonly<Record<string, string>>
}

export const suites: readonly Suite[] = [
  { name: 'Express 4', source: 'node-express', code: 'express@4', inserts: 'application' },
  { name: 'Express 4, in front', source: 'node-express', code: 'express@4', inserts: 'server' },
  {
    name: "Express 5 under Express 4's suite",
    source: 'node-express',
    code: 'express@5',
    inserts: 'application',
    // Their paths are not paths of Express 5.
    without: ['downloads', 'resource', 'route-separation'].map((name) => `test/acceptance/${name}.js`),
    needs: { 'utils-merge': '1' },
  },
  { name: 'body-parser 1', source: 'node-body-parser', code: 'body-parser@1', inserts: 'server' },
  { name: 'body-parser 2', source: 'node-body-parser', code: 'body-parser@2', inserts: 'server' },
  { name: 'compression', source: 'node-compression', code: 'compression@1', inserts: 'server' },
  { name: 'on-finished', source: 'node-on-finished', code: 'on-finished@2', inserts: 'server' },
  { name: 'finalhandler 1', source: 'node-finalhandler', code: 'finalhandler@1', inserts: 'server' },
  { name: 'finalhandler 2', source: 'node-finalhandler', code: 'finalhandler@2', inserts: 'server' },
  { name: 'morgan', source: 'node-morgan', code: 'morgan@1', inserts: 'server' },
  { name: 'errorhandler', source: 'node-errorhandler', code: 'errorhandler@1', inserts: 'server' },
]

/** Fetches Debian's sources, as far as this machine has Debian's package archive. */
export class Sources {
  private readonly folder: string
  private ready: Promise<readonly string[]> | undefined

  constructor(folder: string) {
    this.folder = folder
  }

  /** The tarball of a source package. Rejects where it is not to be had. */
  async tarball(name: string): Promise<string> {
    this.ready ??= this.prepare()
    const options = await this.ready
    const folder = path.join(this.folder, 'sources', name)
    mkdirSync(folder, { recursive: true })
    const found = (): string | undefined => readdirSync(folder).find((file) => /\.orig\.tar\.\w+$/.test(file))
    if (found() === undefined) {
      // Some of the parts that belong to it may be missing from a mirror: types, Debian's own patches.
      const failure = await run(
        'apt-get',
        [...options, 'source', '-qq', '--download-only', '--only-source', name],
        {
          cwd: folder,
        },
      ).then(
        () => undefined,
        (error: Error) => error,
      )
      if (found() === undefined) throw failure ?? new Error(`no tarball in ${name}`)
    }
    return path.join(folder, found()!)
  }

  /** Lists of sources beside the machine's own, which has packages alone. */
  private async prepare(): Promise<readonly string[]> {
    const machine = readFileSync('/etc/apt/sources.list.d/debian.sources', 'utf8')
    const list = path.join(this.folder, 'debian.sources')
    mkdirSync(path.join(this.folder, 'lists/partial'), { recursive: true })
    writeFileSync(list, machine.replaceAll(/^Types:.*$/gm, 'Types: deb-src'))
    const options = [
      ['Dir::Etc::sourcelist', list],
      ['Dir::Etc::sourceparts', '-'],
      ['Dir::State::lists', path.join(this.folder, 'lists')],
      ['Dir::Cache', path.join(this.folder, 'cache')],
    ].flatMap(([key, value]) => ['-o', `${key}=${value}`])
    await run('apt-get', [...options, 'update', '-qq'])
    return options
  }
}

interface SuiteManifest {
  readonly devDependencies: Readonly<Record<string, string>>
}

/** Lays the suite around the code, in a folder of its own, and has npm install what both need. */
export async function lay(suite: Suite, tarball: string, folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true })
  await run('tar', ['-xf', tarball, '-C', folder, '--strip-components=1'])
  const { devDependencies } = JSON.parse(
    readFileSync(path.join(folder, 'package.json'), 'utf8'),
  ) as SuiteManifest
  const needed = Object.entries(devDependencies).filter(([name]) => !/eslint|mocha|nyc|istanbul/.test(name))
  const [name = '', range = ''] = suite.code.split('@')
  const dependencies = { ...Object.fromEntries(needed), ...suite.needs, [name]: range }
  writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ private: true, dependencies }))
  await run('npm', ['install', '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: folder,
  })
  cpSync(path.join(folder, 'node_modules', name), folder, { recursive: true })
  for (const spec of suite.without ?? []) rmSync(path.join(folder, spec))
  if (name === 'express') writeFileSync(path.join(folder, 'index.js'), entry)
}

/** Express, with what `insert.ts` puts into it. */
const entry = `
const inserting = globalThis[Symbol.for('sluiceway.inserting')]
const express = require('./lib/express')
module.exports = inserting === undefined ? express : inserting(express)
`
