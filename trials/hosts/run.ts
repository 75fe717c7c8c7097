// `npm run hosts`: applications called by hosts that make requests of their own, in Express 4 and 5. The oracle is the same
// application over node:http, without this package. Prints a line for each host, and what differs.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expressVersions } from '../../test/support/express/express-versions.js'
import { application, type ExpressModule, type Question, questions } from './applications.js'
import { type Answer, type Call, type Host, hosts, overHttp } from './hosts.js'
import { versionOf } from './packages.js'

/** Beyond this a request hangs. */
const PATIENCE_MS = 5000

function within(answer: Promise<Answer>): Promise<string> {
  const hung = new Promise<string>((resolve) => void setTimeout(resolve, PATIENCE_MS, 'hangs'))
  const text = answer.then(({ status, text: body }) => `${status} ${body.slice(0, 80)}`)
  return Promise.race([text.catch((error: Error) => `fails: ${String(error)} ${String(error.cause)}`), hung])
}

interface Case {
  readonly name: string
  readonly express: ExpressModule
  readonly question: Question
  readonly expected: string
}

function questionsTo(host: string): [string, Question][] {
  return Object.entries(questions).filter(([, { only }]) => only?.includes(host) ?? true)
}

/** All questions to both versions of Express, with the answers of the oracle. */
async function cases(host: string): Promise<Case[]> {
  const all = expressVersions.flatMap(({ name: version, express }) =>
    questionsTo(host).map(async ([name, question]) => {
      const bare = application(express, question, true)
      const expected = question.expected ?? (await within(overHttp(bare, question.request)))
      return { name: `${version}, ${name}`, express, question, expected }
    }),
  )
  return Promise.all(all)
}

async function faultsOf(call: Call, asked: readonly Case[]): Promise<string[]> {
  const faults: string[] = []
  for (const { name, express, question, expected } of asked) {
    const answer = await within(call(application(express, question, false), question.request))
    if (!answer.startsWith(expected)) faults.push(`  ${name}: ${answer} instead of ${expected}`)
  }
  return faults
}

/** Calls the applications through one host, and prints what is wrong. */
async function trial(name: string, { from, start }: Host): Promise<boolean> {
  // Before the host is loaded: light-my-request changes ServerResponse for all.
  const asked = await cases(name)
  const faults = await faultsOf(await start(), asked)
  console.log(`${name}${from === 'node' ? '' : ` ${versionOf(from)}`}: ${faults.length} faults`)
  for (const text of faults) console.log(text)
  return faults.length === 0
}

/** A process for each. */
function trialOfItsOwn(name: string): boolean {
  const { status } = spawnSync(process.execPath, [fileURLToPath(import.meta.url), name], { stdio: 'inherit' })
  return status === 0
}

function trials(): boolean {
  console.log(`Node ${process.version}`)
  const failed = Object.keys(hosts).filter((name) => !trialOfItsOwn(name))
  console.log(failed.length === 0 ? 'hosts: passed' : `hosts: failed with ${failed.join(', ')}`)
  return failed.length === 0
}

const [asked = ''] = process.argv.slice(2)
const chosen = hosts[asked]
const passed = chosen === undefined ? trials() : await trial(asked, chosen)
process.exit(passed ? 0 : 1)
