import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { expect } from 'chai'
import { StreamingClient } from '../support/clients/streaming-client.js'
import { closeServers } from '../support/servers/servers.js'
import { waitFor } from '../support/time/waiting.js'
import { piped } from './piped.js'

/** Prints each line that it reads, as most programs do: without a thought of flushing. */
const python = 'import sys\nfor line in iter(sys.stdin.readline, ""): print(line, end="")'

type Command = readonly [string, ...string[]]

interface Hint {
  readonly command: Command
  /** What has to be there, beside the command itself. */
  readonly needs?: string
  readonly env?: Readonly<Record<string, string>>
  /** What a pseudo-terminal does to a line end. */
  readonly lineEnd?: string
}

/** What docs/auto-flush.md advises for children that collect their output. */
const hints: Record<string, Hint> = {
  'PYTHONUNBUFFERED=1': { command: ['python3', '-c', python], env: { PYTHONUNBUFFERED: '1' } },
  'python3 -u': { command: ['python3', '-u', '-c', python] },
  'grep --line-buffered': { command: ['grep', '--line-buffered', ''] },
  'stdbuf -oL': { command: ['stdbuf', '-oL', 'tr', 'a', 'b'], needs: 'tr' },
  'sed -u': { command: ['sed', '-u', ''] },
  'a pseudo-terminal of script(1)': {
    command: ['script', '-qec', `stty -echo; python3 -c '${python}'`, '/dev/null'],
    needs: 'python3',
    lineEnd: '\r\n',
  },
}

/** The same programs without the hint. */
const collecting: Record<string, Command> = {
  python3: ['python3', '-c', python],
  grep: ['grep', ''],
  tr: ['tr', 'a', 'b'],
}

describe('pipeChild', () => {
  afterEach(closeServers)

  describe('with a child that collects its output', () => {
    for (const [hint, { command, needs, env, lineEnd = '\n' }] of Object.entries(hints)) {
      it(`delivers each line before the next is made, by ${hint}`, async function () {
        if (isMissing(command[0]) || isMissing(needs)) this.skip()
        const { url, child } = await piped(() => start(command, env), {})
        const client = await StreamingClient.get(url)
        const { stdin } = await waitFor('the child to be started', child)
        for (const n of [1, 2, 3]) {
          stdin?.write(`line ${n}\n`)
          await client.received(`line ${n}${lineEnd}`)
        }
        client.leave()
      })
    }

    for (const [program, command] of Object.entries(collecting)) {
      it(`gets blocks instead of lines without such a hint: ${program}`, async function () {
        if (isMissing(command[0])) this.skip()
        const { url, child } = await piped(() => start(command), {})
        const client = await StreamingClient.get(url)
        const { stdin } = await waitFor('the child to be started', child)
        while (client.text === '') {
          stdin?.write(`${'x'.repeat(59)}\n`)
          await (await fetch(`${url}/meanwhile`)).text()
        }
        expect(client.text).to.have.lengthOf.at.least(4096)
        client.leave()
      })
    }
  })
})

function start([program, ...args]: Command, env: Hint['env'] = {}): ChildProcess {
  return spawn(program, args, { detached: true, env: { ...process.env, PYTHONUNBUFFERED: '', ...env } })
}

function isMissing(program: string | undefined): boolean {
  if (program === undefined) return false
  const missing = spawnSync('which', [program]).status !== 0
  if (missing) console.log(`      skipped: there is no ${program}`)
  return missing
}
