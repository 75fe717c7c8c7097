import type { Writable } from 'node:stream'
import type { Worker } from 'node:worker_threads'
import { isError } from '../../shared/is-error.js'
import { show } from '../../shared/options.js'
import { ListenerSet } from '../listener-set.js'
import type { ChildExit, ChildOutput, RunningChild } from '../running-child.js'
import { StreamOutput } from './stream-output.js'

/** A thread of `node:worker_threads`. It has no signals: any of them terminates it. */
export class WorkerChild implements RunningChild {
  readonly started: Promise<void>
  readonly exited: Promise<ChildExit>
  readonly stdin: Writable | null
  readonly stdout: ChildOutput | undefined
  readonly stderr: ChildOutput | undefined
  private readonly worker: Worker
  private readonly listeners = new ListenerSet()
  private readonly startListeners = new ListenerSet()

  constructor(worker: Worker) {
    this.worker = worker
    // Without a listener, an exception in the thread would end the process. The exit code shows it.
    this.listeners.on(worker, 'error', ignore)
    this.started = this.whenStarted().finally(() => this.startListeners.removeAll())
    this.started.catch(() => {})
    this.exited = this.whenExited()
    this.stdin = worker.stdin
    this.stdout = new StreamOutput(worker.stdout)
    this.stderr = new StreamOutput(worker.stderr)
  }

  signal(signal: NodeJS.Signals | 0): boolean {
    if (hasExited(this.worker)) return false
    if (signal !== 0) void this.worker.terminate()
    return true
  }

  removeListeners(): void {
    this.startListeners.removeAll()
    this.listeners.removeAll()
  }

  /**
   * Resolves with the first output, or when the thread reads its input: 'online' comes before Node looks for the file.
   * An 'error' may overtake earlier output, so the decision waits for the exit, which comes last.
   */
  private whenStarted(): Promise<void> {
    const { worker, startListeners } = this
    let failure: Error | undefined
    return new Promise((resolve, reject) => {
      startListeners.on(worker, 'error', (thrown: unknown) => (failure = errorOf(thrown)))
      startListeners.on(worker, 'exit', () => {
        if (failure === undefined || hasOutput(worker)) resolve()
        else reject(failure)
      })
      for (const output of [worker.stdout, worker.stderr])
        startListeners.on(output, 'readable', () => hasOutput(worker) && resolve())
      whenReading(worker, resolve)
      if (hasExited(worker)) resolve()
    })
  }

  private whenExited(): Promise<ChildExit> {
    if (hasExited(this.worker)) return Promise.resolve({ code: null, signal: null })
    return new Promise((resolve) => {
      this.listeners.on(this.worker, 'exit', (code: number) => resolve({ code, signal: null }))
    })
  }
}

/** Calls `listener` when a thread reads its input: Node takes a write back only then, even an empty one. */
function whenReading({ stdin }: Worker, listener: () => void): void {
  if (stdin?.writable) stdin.write('', (error) => error ?? listener())
}

/** Returns what a thread has thrown, as an Error. */
function errorOf(thrown: unknown): Error {
  if (isError(thrown)) return thrown
  return new Error(`the Worker threw ${show(thrown)}`, { cause: thrown })
}

function hasOutput({ stdout, stderr }: Worker): boolean {
  return stdout.readableLength > 0 || stderr.readableLength > 0
}

function hasExited(worker: Worker): boolean {
  return worker.threadId === -1
}

function ignore(): void {}
