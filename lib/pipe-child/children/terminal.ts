import { constants } from 'node:os'
import { timers } from '../../node/timers.js'
import { ListenerSet } from '../listener-set.js'
import type { ChildExit, ChildOutput, RunningChild } from '../running-child.js'
import { signalGroup } from './signal-group.js'
import { bytesOf } from './stream-output.js'

/** A pseudo-terminal, such as those of node-pty, as far as `pipeChild` uses it. */
export interface PseudoTerminal {
  readonly pid: number
  readonly onData: (listener: (data: string) => void) => { dispose(): void }
  readonly onExit: (listener: (exit: { exitCode: number; signal?: number | undefined }) => void) => {
    dispose(): void
  }
  kill(signal?: string): void
  pause?(): void
  resume?(): void
}

/** The wait for the exit of a terminal whose process has ended. It may have been emitted before the call. */
const EXIT_WAIT_MS = 250

/** The interval at which we check whether the process of a paused terminal still runs. */
const PAUSE_WATCH_MS = 50

/** A command in a pseudo-terminal. It has one output and leads a session. An earlier exit is not known. */
export class TerminalChild implements RunningChild {
  readonly started: Promise<void> = Promise.resolve()
  readonly exited: Promise<ChildExit>
  readonly stdin = null
  readonly stdout: ChildOutput
  readonly stderr = undefined
  private readonly terminal: PseudoTerminal
  private readonly listeners = new ListenerSet()
  private hasExited = false

  constructor(terminal: PseudoTerminal) {
    this.terminal = terminal
    this.exited = this.whenExited()
    this.stdout = new TerminalOutput(terminal, this.exited)
  }

  signal(signal: NodeJS.Signals | 0): boolean {
    const { pid } = this.terminal
    if (signalGroup(pid, signal)) return true
    if (this.hasExited || !isRunning(pid)) return false
    if (signal !== 0) this.terminal.kill(signal)
    return true
  }

  removeListeners(): void {
    this.listeners.removeAll()
  }

  private async whenExited(): Promise<ChildExit> {
    const exit = await new Promise<ChildExit>((resolve) => {
      const subscription = this.terminal.onExit((end) => resolve(exitOf(end)))
      this.listeners.addRemoval(() => subscription.dispose())
      if (!isRunning(this.terminal.pid))
        timers.setTimeout(resolve, EXIT_WAIT_MS, { code: null, signal: null })
    })
    this.hasExited = true
    return exit
  }
}

class TerminalOutput implements ChildOutput {
  readonly ended: Promise<void>
  private readonly terminal: PseudoTerminal
  private readonly listeners = new ListenerSet()
  private onEnd: () => void = () => {}
  private watch: NodeJS.Timeout | undefined

  constructor(terminal: PseudoTerminal, exited: Promise<unknown>) {
    this.terminal = terminal
    this.ended = exited.then(() => this.onEnd())
  }

  read(onChunk: (chunk: Buffer) => void, onEnd: () => void): void {
    this.onEnd = onEnd
    const subscription = this.terminal.onData((data) => onChunk(bytesOf(data, null) as Buffer))
    this.listeners.addRemoval(() => subscription.dispose())
  }

  /**
   * Pauses the terminal for as long as its process runs: node-pty closes it 200 ms after the exit, and drops what was
   * not read by then. That rest is small, because the process has waited for everything before it to be read.
   */
  pause(): void {
    if (this.watch !== undefined || !isRunning(this.terminal.pid)) return
    this.terminal.pause?.()
    this.watch = timers
      .setInterval(() => {
        if (!isRunning(this.terminal.pid)) this.resume()
      }, PAUSE_WATCH_MS)
      .unref()
  }

  resume(): void {
    this.stopWatching()
    this.terminal.resume?.()
  }

  /** Does nothing: the terminal closes with its last process. */
  close(): void {}

  removeListeners(): void {
    this.stopWatching()
    this.listeners.removeAll()
  }

  private stopWatching(): void {
    timers.clearInterval(this.watch)
    this.watch = undefined
  }
}

function exitOf({ exitCode, signal }: { exitCode: number; signal?: number | undefined }): ChildExit {
  const name = Object.entries(constants.signals).find(([, number]) => number === signal)?.[0]
  return name === undefined
    ? { code: exitCode, signal: null }
    : { code: null, signal: name as NodeJS.Signals }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
