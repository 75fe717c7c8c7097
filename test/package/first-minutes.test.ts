import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { packedPackage } from '../support/repository/packed.js'
import { readText, root } from '../support/repository/repository.js'
import { isThorough } from '../support/thorough.js'

const run = promisify(execFile)
const page = readText('docs/start.md')

/** The commands of a section of the page: `npm init`, `npm install`, `node`. */
function commandsOf(section: string): string[] {
  const [, after = ''] = page.split(`\n## ${section}\n`)
  return /```sh\n([^]*?)\n```/.exec(after)?.[1]?.split('\n') ?? []
}

const [whole = '', required = '', typed = ''] = [...page.matchAll(/^```[jt]s start\n([^]*?)\n```$/gm)].map(
  ([, code]) => code,
)
const imports = /^(?:import .*\n)+/.exec(whole)?.[0] ?? ''
const [typedImport = '', typedEnd = ''] = typed.split('\n\n')

/** The page's program in each form, by its file. */
const programs = {
  'server.mjs': whole,
  'server.cjs': whole.replace(imports, () => `${required}\n`),
  'server.mts': `${typedImport}\n${whole.slice(0, whole.indexOf('const server'))}${typedEnd}`,
}

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
const runsTypeScript = major > 22 || (major === 22 && minor >= 18)
type ProgramFile = keyof typeof programs
const files = (Object.keys(programs) as ProgramFile[]).filter(
  (file) => file !== 'server.mts' || runsTypeScript,
)

/** npm takes seconds for each folder, and does the same on each Node. */
const isWorthwhile = isThorough || major === 24

describe('from an empty folder to a running program', function () {
  this.timeout(60_000)

  it('takes three commands', () => {
    for (const section of ['JavaScript', 'TypeScript']) {
      expect(commandsOf(section).map((command) => command.split(' ').slice(0, 2).join(' '))).to.deep.equal([
        'npm init',
        'npm install',
        section === 'TypeScript' ? 'node server.mts' : 'node server.mjs',
      ])
    }
  })

  it('leads to programs that run with the packed package, in each form', async () => {
    const installed = await packedPackage()
    installed.link('express')
    const running = files.map(async (file) => {
      writeFileSync(path.join(installed.folder, file), programs[file])
      await answersAsThePageSays(installed.folder, file)
    })
    await Promise.all(running)
  })

  it('leads to them by the very commands of the page', async function () {
    if (!isWorthwhile) this.skip()
    const { tarball } = await packedPackage()
    const folder = mkdtempSync(path.join(tmpdir(), 'sluiceway-start-'))
    try {
      await Promise.all(files.map((file) => follow(file, path.join(folder, file.slice(-3)), tarball)))
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

/** Does what the page says in an empty folder, with the tarball in place of the name in the registry. */
async function follow(file: ProgramFile, folder: string, tarball: string): Promise<void> {
  mkdirSync(folder)
  const [init = '', install = ''] = commandsOf(file === 'server.mts' ? 'TypeScript' : 'JavaScript')
  for (const command of [init, install.replace('sluiceway', tarball)]) {
    const [npm = '', ...words] = command.split(' ')
    await run(npm, [...words, '--prefer-offline', '--no-audit', '--no-fund'], { cwd: folder })
  }
  writeFileSync(path.join(folder, file), programs[file])
  await answersAsThePageSays(folder, file)
  if (file === 'server.mts') await expectNoTypeErrors(folder)
}

async function expectNoTypeErrors(folder: string): Promise<void> {
  const tsc = `${root}/node_modules/typescript/bin/tsc`
  const settings = ['--strict', '--module', 'nodenext', '--target', 'es2022', '--types', 'node', '--noEmit']
  const { stdout } = await run(process.execPath, [tsc, ...settings, 'server.mts'], { cwd: folder }).catch(
    (error: { stdout: string }) => error,
  )
  expect(stdout).to.equal('')
}

async function answersAsThePageSays(folder: string, file: string): Promise<void> {
  const child = spawn(process.execPath, [file], {
    cwd: folder,
    env: { ...process.env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  try {
    const url = (await lineFrom(child)).replace('listening on http://localhost', 'http://127.0.0.1')
    const upload = (bytes: number): Promise<Response> =>
      fetch(`${url}/upload`, { method: 'POST', body: new Uint8Array(bytes) })
    expect(await (await upload(1000)).json()).to.deep.equal({ bytes: 1000 })
    expect(await upload(2_000_000)).to.include({ status: 413 })
    expect(await (await fetch(`${url}/count`)).text()).to.equal('one\ntwo\nthree\n')
  } finally {
    const gone = child.exitCode === null ? once(child, 'exit') : undefined
    child.kill()
    await gone
  }
}

/** The first line that a program prints. */
async function lineFrom({ stdout }: ChildProcess): Promise<string> {
  if (stdout === null) return ''
  const lines = createInterface({ input: stdout })
  for await (const line of lines) return line
  throw new Error('the program ended without a word')
}
