import type { Writable } from 'node:stream'

/** The exit of a child: its `code`, or the `signal` that ended it. Both are null if they are not known. */
export interface ChildExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** One output of a child: its stdout, its stderr, or the only one of a pseudo-terminal. */
export interface ChildOutput {
  /** Resolves at the end of the output. Rejects with an error of the stream, or for a chunk that is not bytes. */
  readonly ended: Promise<void>
  /** Calls `onChunk` for each further chunk, and `onEnd` after the last. */
  read(onChunk: (chunk: Buffer) => void, onEnd: () => void): void
  pause(): void
  resume(): void
  /** Closes our end of the pipe, which another process may hold open for longer. */
  close(): void
  removeListeners(): void
}

/** A child as `pipeChild` uses it: a process, a Worker or a pseudo-terminal. */
export interface RunningChild {
  /** Resolves when the child runs. Rejects with the error if it could not be started. */
  readonly started: Promise<void>
  readonly exited: Promise<ChildExit>
  readonly stdin: Writable | null
  readonly stdout: ChildOutput | undefined
  readonly stderr: ChildOutput | undefined
  /** Signals the child, and its group if it leads one. Returns false if neither runs any more. 0 only checks. */
  signal(signal: NodeJS.Signals | 0): boolean
  removeListeners(): void
}

/** Returns the outputs of a child. */
export function outputsOf({ stdout, stderr }: RunningChild): ChildOutput[] {
  return [stdout, stderr].filter((output) => output !== undefined)
}
