import { spawn, spawnSync, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { noteWait } from '../support/time/waiting.js'

/** The tools that the commands of the pages need. */
const tools = ['bash', 'curl', 'openssl', 'sha256sum']

/** Says in the log of the tests which tools are missing. */
export function hasTools(): boolean {
  const missing = tools.filter((name) => spawnSync(name, ['--version']).error !== undefined)
  if (missing.length > 0) console.log(`      skipped: there is no ${missing.join(', no ')}`)
  return missing.length === 0
}

/** Lines that start or install something: the tests have done that already. */
const PREPARATION = /^(?:\w+=\S+ )*(?:npm|npx|ollama) /

/** The commands of one "sh" block, typed by a reader at whose port 3000 (and 80, if need be) the program listens. */
export class Terminal {
  readonly commands: readonly string[]
  private readonly started: Command[] = []

  constructor(block: string, hosts: Readonly<Record<string, string>>) {
    const lines = block.split('\n').filter((line) => line !== '' && !PREPARATION.test(line))
    this.commands = lines.map((line) =>
      Object.entries(hosts).reduce((text, [name, host]) => text.replaceAll(name, host), line),
    )
  }

  /** Runs commands to their end and gives what they have printed: by default all of the block. */
  async run(commands = this.commands): Promise<string> {
    return await this.start(commands).end()
  }

  /** Starts what goes on until it is stopped, in a terminal of its own. */
  start(commands: readonly string[]): Command {
    const command = new Command(commands.join('\n'))
    this.started.push(command)
    return command
  }

  close(): void {
    for (const command of this.started) command.stop()
  }
}

/** A running command: its output so far, and its keyboard. */
export class Command {
  private readonly child: ChildProcessByStdio<Writable, Readable, Readable>
  private readonly ended: Promise<unknown>
  private printed = ''
  private reported = ''

  constructor(script: string) {
    this.child = spawn('bash', ['-c', script], { stdio: 'pipe', detached: true })
    this.ended = once(this.child, 'close')
    this.child.stdin.on('error', () => {})
    this.child.stdout.setEncoding('utf8').on('data', (text: string) => (this.printed += text))
    this.child.stderr.setEncoding('utf8').on('data', (text: string) => (this.reported += text))
  }

  type(line: string): void {
    this.child.stdin.write(`${line}\n`)
  }

  /** Waits until this text has been printed. */
  async until(text: string): Promise<void> {
    const isOver = noteWait(() => `the command to print '${text}' (it has printed '${this.printed}')`)
    try {
      while (!this.printed.includes(text)) {
        const more = Promise.race([once(this.child.stdout, 'data'), this.ended.then(() => 'ended')])
        if ((await more) === 'ended') throw new Error(`it ended after: ${this.printed}${this.reported}`)
      }
    } finally {
      isOver()
    }
  }

  /** Waits for its end, and gives what it printed, stderr last. */
  async end(): Promise<string> {
    this.child.stdin.end()
    await this.ended
    return this.printed + this.reported
  }

  stop(): void {
    if (this.child.exitCode === null) process.kill(-(this.child.pid as number), 'SIGKILL')
  }
}
