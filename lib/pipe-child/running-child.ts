import type { Writable } from 'node:stream'

/** How a child ended: by `code`, or by `signal`. Both are null where nothing tells of its end any more. */
export interface ChildExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** One output of a child: its stdout or stderr, or all that a pseudo-terminal shows. */
export interface ChildOutput {
  /** Resolves when nothing more comes. Rejects with the error of the stream, or of a chunk that is no bytes. */
  readonly ended: Promise<void>
  /** Calls `onChunk` for all that comes from now on, and `onEnd` behind the last. */
  read(onChunk: (chunk: Buffer) => void, onEnd: () => void): void
  pause(): void
  resume(): void
  /** Closes our side, so that nobody else who holds the other one is waited for. */
  close(): void
  removeListeners(): void
}

/** What `pipeChild` needs of a child, be it a process, a Worker or a pseudo-terminal. */
export interface RunningChild {
  /** Resolves once the child runs, and rejects with the reason why it could not. */
  readonly started: Promise<void>
  readonly exited: Promise<ChildExit>
  readonly stdin: Writable | null
  readonly stdout: ChildOutput | undefined
  readonly stderr: ChildOutput | undefined
  /** Signals the child and its group, as far as it leads one. False: nothing is left to signal. 0 only asks. */
  signal(signal: NodeJS.Signals | 0): boolean
  removeListeners(): void
}

/** The outputs that a child has. */
export function outputsOf({ stdout, stderr }: RunningChild): ChildOutput[] {
  return [stdout, stderr].filter((output) => output !== undefined)
}
