import type { ChildProcess } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { getSystemErrorName } from 'node:util'
import { ListenerSet } from '../listener-set.js'
import type { ChildExit, ChildOutput, RunningChild } from '../running-child.js'
import { signalGroup } from './signal-group.js'
import { StreamOutput } from './stream-output.js'

/** A child process of `spawn`, `exec` or `fork`, or of a library such as execa, whose children are promises too. */
export class ProcessChild implements RunningChild {
  readonly started: Promise<void>
  readonly exited: Promise<ChildExit>
  readonly stdin: Writable | null
  readonly stdout: ChildOutput | undefined
  readonly stderr: ChildOutput | undefined
  private readonly child: ChildProcess
  private readonly listeners = new ListenerSet()
  /** True once neither the child nor a process of its group runs: the pid may soon be that of another process. */
  private isGone = false

  constructor(child: ChildProcess) {
    this.child = child
    // It also catches later errors: a signal without permission, an AbortSignal, a message that cannot be sent.
    this.listeners.on(child, 'error', ignore)
    // Without a listener, the EPIPE of a filter that stops reading would end this process.
    if (child.stdin) this.listeners.on(child.stdin, 'error', ignore)
    this.started = this.whenStarted()
    this.started.catch(() => {})
    this.exited = this.whenExited()
    // Processes without a group may hold the output for hours, in which the pid may be given to another process.
    void this.exited.then(() => this.signal(0))
    this.stdin = child.stdin ?? null
    this.stdout = outputOf(child.stdout)
    this.stderr = outputOf(child.stderr)
  }

  /** Signals only a child with a pid: Node 20 would take undefined for 0, its own process group. */
  signal(signal: NodeJS.Signals | 0): boolean {
    const { child } = this
    if (child.pid === undefined || this.isGone) return false
    const isReached = signalGroup(child.pid, signal) || (isRunning(child) && child.kill(signal))
    this.isGone = !isReached && !isRunning(child)
    return isReached
  }

  removeListeners(): void {
    this.listeners.removeAll()
  }

  /**
   * Resolves once the child runs. One that could not be started has no pid: its 'error' comes in the next tick, or came
   * before the call.
   */
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

  /** Resolves for a child that was never started, too. */
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

/** Tells whether the child runs. One that could not be started has a negative `exitCode`. */
function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null
}

/** Wraps an output. Up to Node 26, a child has no `stdout` at all if no descriptor was left for it. */
function outputOf(stream: Readable | null | undefined): ChildOutput | undefined {
  return stream ? new StreamOutput(stream) : undefined
}

/**
 * Handles the rejection of a child that is also a promise. It rejects when we end the child, and the application may not
 * expect that. If the process never existed (execa, with arguments that are too long), there is no other event.
 */
function settleWith(child: ChildProcess & { then?: unknown }, reject: (error: Error) => void): void {
  if (typeof child.then === 'function') {
    ;(child as unknown as PromiseLike<unknown>).then(undefined, (error: Error) => reject(error))
  }
}

/** Creates the error that the child emitted before the call. */
function spawnError({ spawnfile, spawnargs }: ChildProcess, errno: number): Error {
  const code = getSystemErrorName(errno)
  const syscall = `spawn ${spawnfile}`
  const details = { errno, code, syscall, path: spawnfile, spawnargs: spawnargs.slice(1) }
  return Object.assign(new Error(`${syscall} ${code}`), details)
}

function ignore(): void {}
