// `npm run judges`: the test suites of peers, plain and with each middleware in front. What differs is printed.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { judged } from '../../test/support/express/judged.js'
import { root } from '../../test/support/repository/repository.js'
import { lay, Sources, type Suite, suites } from './suites.js'

/** What became of each test, by its title. */
type Outcomes = ReadonlyMap<string, string>

interface Report {
  readonly tests: readonly { fullTitle: string; err: { message?: string }; duration?: number }[]
  readonly pending: readonly { fullTitle: string }[]
}

const insert = fileURLToPath(new URL('insert.js', import.meta.url))

/** Runs a suite that is laid in `folder`. */
async function outcomesOf(suite: Suite, folder: string, under: string): Promise<Outcomes> {
  const output = path.join(folder, 'outcome.json')
  const support = ['--require', 'test/support/env']
  const suitesOwn = existsSync(path.join(folder, 'test/support/env.js')) ? support : []
  const specs = ['test/*.js', 'test/acceptance/*.js'].filter((spec) =>
    existsSync(path.join(folder, path.dirname(spec))),
  )
  const args = ['--no-config', '--no-package', '--check-leaks', '--exit', ...suitesOwn]
  const reporting = ['--reporter', 'json', '--reporter-option', `output=${output}`]
  rmSync(output, { force: true })
  const child = spawn(
    process.execPath,
    ['--import', insert, path.join(root, 'node_modules/mocha/bin/mocha.js'), ...args, ...reporting, ...specs],
    {
      cwd: folder,
      stdio: 'ignore',
      env: { ...process.env, NODE_ENV: 'test', SLUICEWAY_JUDGED: under, SLUICEWAY_INSERTS: suite.inserts },
    },
  )
  await once(child, 'exit')
  const { tests, pending } = JSON.parse(readFileSync(output, 'utf8')) as Report
  const skipped = new Set(pending.map(({ fullTitle }) => fullTitle))
  const outcomes = new Map<string, string>()
  for (const { fullTitle, err } of tests) {
    // Titles may come twice.
    let title = fullTitle
    while (outcomes.has(title)) title += "'"
    outcomes.set(title, skipped.has(fullTitle) ? 'skipped' : withoutFrames(err.message ?? 'passed'))
  }
  return outcomes
}

/** A failure that shows a stack, in text or in an error page, is the same whatever the stack went through. */
function withoutFrames(message: string): string {
  return message.replace(/(?:\n +|<br> (?:&nbsp; ?)+)at [^\n<]*/g, '')
}

/** How often a test is asked again whose outcome differs: some of a suite depend on time. */
const MORE_TRIES = 2

async function differences(suite: Suite, folder: string, under: string, plain: Outcomes): Promise<string[]> {
  let differing: string[] | undefined
  let seen = new Map<string, string>() as Outcomes
  for (let tried = 0; tried <= MORE_TRIES && differing?.length !== 0; tried++) {
    const outcomes = await outcomesOf(suite, folder, under)
    const now = [...new Set([...plain.keys(), ...outcomes.keys()])].filter(
      (title) => plain.get(title) !== outcomes.get(title),
    )
    differing = differing === undefined ? now : differing.filter((title) => now.includes(title))
    seen = outcomes
  }
  return (differing ?? []).map((title) => `${title}: ${seen.get(title)} (plain: ${plain.get(title)})`)
}

function counted(outcomes: Outcomes): string {
  const all = [...outcomes.values()]
  const count = (outcome: string): number => all.filter((one) => one === outcome).length
  return `${count('passed')} of ${all.length - count('skipped')} pass`
}

/** What a middleware is there to change: by the title's end, who changes it. */
const meant: readonly { readonly title: RegExp; readonly by: RegExp }[] = [
  // A body that somebody has read may be read again.
  { title: / should 500 if stream not readable$/, by: /^(?:bodyCache|all of them)$/ },
]

function isMeant(line: string, under: string): boolean {
  const [title = ''] = line.split(':', 1)
  return meant.some((one) => one.title.test(title) && one.by.test(under))
}

async function judge(suite: Suite, sources: Sources, folder: string): Promise<number> {
  await lay(suite, await sources.tarball(suite.source), folder)
  const plain = await outcomesOf(suite, folder, '')
  console.log(`${suite.name}: plain ${counted(plain)}`)
  let found = 0
  for (const under of Object.keys(judged)) {
    const all = await differences(suite, folder, under, plain)
    const differing = all.filter((line) => !isMeant(line, under))
    const note =
      all.length === differing.length ? '' : `, and ${all.length - differing.length} that are meant to`
    console.log(`  ${under}: ${differing.length === 0 ? 'the same' : `${differing.length} differ`}${note}`)
    for (const line of differing) console.log(`    ${line}`)
    found += differing.length
  }
  return found
}

const kept = process.env['SLUICEWAY_JUDGES_FOLDER']
const work = kept ?? mkdtempSync(path.join(tmpdir(), 'sluiceway-judges-'))
const sources = new Sources(work)
const wanted = process.argv[2] ?? ''
let found = 0
for (const [index, suite] of suites.entries()) {
  if (!suite.name.includes(wanted)) continue
  const folder = path.join(work, `suite-${index}`)
  mkdirSync(folder, { recursive: true })
  try {
    found += await judge(suite, sources, folder)
  } catch (error) {
    console.log(`${suite.name}: skipped, ${(error as Error).message.split('\n', 2).join(' ')}`)
  }
}
if (kept === undefined) rmSync(work, { recursive: true, force: true })
process.exitCode = found === 0 ? 0 : 1
