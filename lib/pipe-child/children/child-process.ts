import type { ChildProcess } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { getSystemErrorName } from 'node:util'
import { ListenerSet } from '../listener-set.js'
import type { ChildExit, ChildOutput, RunningChild } from '../running-child.js'
import { signalGroup } from './signal-group.js'
import { StreamOutput } from './stream-output.js'

/** A child process of `spawn`, `exec`, `fork`, or of a library such as execa, whose child is a promise as well. */
export class ProcessChild implements RunningChild {
  readonly started: Promise<void>
  readonly exited: Promise<ChildExit>
  readonly stdin: Writable | null
  readonly stdout: ChildOutput | undefined
  readonly stderr: ChildOutput | undefined
  private readonly child: ChildProcess
  private readonly listeners = new ListenerSet()

  constructor(child: ChildProcess) {
    this.child = child
    // Also for errors of later: a signal that is not permitted, an AbortSignal, a message that cannot be sent.
    this.listeners.on(child, 'error', ignore)
    // In plain Node, a filter that stops reading (EPIPE) ends the process, unless somebody listens.
    if (child.stdin) this.listeners.on(child.stdin, 'error', ignore)
    this.started = this.whenStarted()
    this.started.catch(() => {})
    this.exited = this.whenExited()
    this.stdin = child.stdin ?? null
    this.stdout = outputOf(child.stdout)
    this.stderr = outputOf(child.stderr)
  }

  /** Without a pid there is nothing to signal: Node 20 would take that for 0, its own process group. */
  signal(signal: NodeJS.Signals | 0): boolean {
    const { child } = this
    if (child.pid === undefined) return false
    return signalGroup(child.pid, signal) || (isRunning(child) && child.kill(signal))
  }

  removeListeners(): void {
    this.listeners.removeAll()
  }

  /** A child that could not be started has no pid; its 'error' comes in the next tick, or has come before the call. */
  private async whenStarted(): Promise<void> {
    const { child } = this
    if (child.exitCode !== null && child.exitCode < 0) throw spawnError(child, child.exitCode)
    await new Promise<void>((resolve, reject) => {
      for (const event of ['spawn', 'exit']) this.listeners.on(child, event, () => resolve())
      this.listeners.on(child, 'error', reject)
      settleWith(child, reject)
      if (child.pid !== undefined) resolve()
    })
  }

  /** A child that was never started has ended, too. */
  private whenExited(): Promise<ChildExit> {
    const { child } = this
    if (!isRunning(child)) return Promise.resolve({ code: child.exitCode, signal: child.signalCode })
    return new Promise((resolve) => {
      const onExit = (code: number | null, signal: NodeJS.Signals | null): void => resolve({ code, signal })
      this.listeners.on(child, 'exit', onExit)
      this.started.catch(() => onExit(null, null))
    })
  }
}

/** Tells whether the child has not exited yet. One that could not be started has a negative `exitCode`. */
function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null
}

/** Up to Node 26, a child for which no descriptor was left has no `stdout` at all. */
function outputOf(stream: Readable | null | undefined): ChildOutput | undefined {
  return stream ? new StreamOutput(stream) : undefined
}

/**
 * A child that is a promise as well rejects where we end it, which nobody may have expected. Where it never was a
 * process (execa, for arguments that are too long), its rejection is all that tells.
 */
function settleWith(child: ChildProcess & { then?: unknown }, reject: (error: Error) => void): void {
  if (typeof child.then === 'function') {
    ;(child as unknown as PromiseLike<unknown>).then(undefined, (error: Error) => reject(error))
  }
}

/** Makes the error anew that the child has emitted before the call. */
function spawnError({ spawnfile, spawnargs }: ChildProcess, errno: number): Error {
  const code = getSystemErrorName(errno)
  const syscall = `spawn ${spawnfile}`
  const details = { errno, code, syscall, path: spawnfile, spawnargs: spawnargs.slice(1) }
  return Object.assign(new Error(`${syscall} ${code}`), details)
}

function ignore(): void {}
