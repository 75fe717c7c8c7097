// A measured process: started on a core of its own, asked for its CPU time and memory over IPC.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { SERVER_CORE, pinned } from './cores.mjs'

export class ServerProcess {
  /** Starts `module` (a URL), which calls `report` of usage.mjs; `core` is undefined for those of this process. */
  static async start(
    module,
    args = [],
    { core = SERVER_CORE, flags = [], env = {}, node = process.execPath } = {},
  ) {
    const command = pinned(core, node, [...flags, fileURLToPath(module), ...args])
    const child = spawn(command.file, command.args, {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      env: { ...process.env, NODE_ENV: 'production', NODE_NO_WARNINGS: '1', ...env },
    })
    const ended = once(child, 'exit').then(([code, signal]) => {
      throw new Error(`${args.join(' ') || module} ended with ${code ?? signal}`)
    })
    const [port] = await Promise.race([once(child, 'message'), ended])
    ended.catch(() => {})
    return new ServerProcess(child, port, ended)
  }

  /** `ended` is rejected once the process is gone: a question to it then fails, instead of waiting for ever. */
  constructor(child, port, ended) {
    this.child = child
    this.port = port
    this.ended = ended
  }

  get url() {
    return `http://127.0.0.1:${this.port}`
  }

  /** Microseconds of CPU so far. */
  cpu() {
    return this.ask('cpu')
  }

  /** Bytes in use after a garbage collection: `{ rss, used }`; needs the flag `--expose-gc`. */
  memory() {
    return this.ask('memory')
  }

  /** How often its sockets were written to so far, or undefined where its module does not count that. */
  async writes() {
    return (await this.ask('writes')) ?? undefined
  }

  /** From here on `peak` counts anew, where the kernel can (Linux: "5" to clear_refs resets VmHWM). */
  resetPeak() {
    try {
      writeFileSync(`/proc/${this.child.pid}/clear_refs`, '5')
    } catch {
      // Then it is the peak since the start, for all alike.
    }
  }

  /** Largest resident memory, in bytes. */
  async peak() {
    try {
      const status = readFileSync(`/proc/${this.child.pid}/status`, 'utf8')
      return Number(/^VmHWM:\s*(\d+) kB/m.exec(status)[1]) * 1024
    } catch {
      return this.ask('peak')
    }
  }

  async ask(question) {
    const answered = once(this.child, 'message')
    this.child.send(question)
    return (await Promise.race([answered, this.ended]))[0]
  }

  async stop() {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const ended = once(this.child, 'exit')
    this.child.kill()
    await ended
  }
}
