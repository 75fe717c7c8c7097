// A measured process that is not Node, with the questions of a ServerProcess: CPU and memory as /proc tells them.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { SERVER_CORE, pinned } from './cores.mjs'
import { listening } from './ports.mjs'

export class ProgramProcess {
  /** Starts `file`, which listens on `port`; `cleanUp` is called once it has ended. */
  static async start(file, args, { port, env = {}, cleanUp = () => {} }) {
    const command = pinned(SERVER_CORE, file, args)
    const child = spawn(command.file, command.args, { stdio: 'inherit', env: { ...process.env, ...env } })
    const program = new ProgramProcess(child, port, cleanUp)
    await listening(port).catch(async (error) => {
      await program.stop()
      throw error
    })
    return program
  }

  constructor(child, port, cleanUp) {
    this.child = child
    this.port = port
    this.cleanUp = cleanUp
  }

  get url() {
    return `http://127.0.0.1:${this.port}`
  }

  /** Microseconds of CPU of all threads; /proc/<pid>/stat knows hundredths of a second only. */
  async cpu() {
    const threads = readdirSync(this.path('task'))
    const times = threads.map((thread) => this.timeOf(thread))
    return times.reduce((total, time) => total + time, 0) / 1000
  }

  timeOf(thread) {
    return Number(readFileSync(this.path(`task/${thread}/schedstat`), 'utf8').split(' ')[0])
  }

  async memory() {
    const rss = Number(/^VmRSS:\s*(\d+) kB/m.exec(readFileSync(this.path('status'), 'utf8'))[1]) * 1024
    return { rss, used: rss }
  }

  resetPeak() {
    writeFileSync(this.path('clear_refs'), '5')
  }

  async peak() {
    return Number(/^VmHWM:\s*(\d+) kB/m.exec(readFileSync(this.path('status'), 'utf8'))[1]) * 1024
  }

  path(name) {
    return `/proc/${this.child.pid}/${name}`
  }

  async stop() {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const ended = once(this.child, 'exit')
      this.child.kill()
      await ended
    }
    this.cleanUp()
  }
}
