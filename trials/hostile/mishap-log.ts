import { AsyncLocalStorage } from 'node:async_hooks'

/** The case that runs: its servers, timers and promises know it, and so does most of what goes wrong in them. */
export const underWay: AsyncLocalStorage<unknown> = new AsyncLocalStorage()

/** Something that would have ended the process. */
export interface Mishap {
  /** What was under way, where that is known. */
  readonly of: unknown
  readonly event: string
  readonly error: unknown
}

const events = ['uncaughtException', 'unhandledRejection'] as const

/** Keeps the process alive, as a server under attack has to stay, and notes what would have ended it. */
export class MishapLog {
  private readonly seen: Mishap[] = []

  watch(): void {
    for (const event of events) {
      process.on(event, (error: unknown) => void this.seen.push({ event, error, of: underWay.getStore() }))
    }
  }

  take(): Mishap[] {
    return this.seen.splice(0)
  }
}

/** One line for mishaps of one kind: the message, and the first places of our own code or of Node's. */
export function kindOf({ event, error }: Mishap): string {
  const { message = String(error), stack = '' } = (error ?? {}) as Partial<Error>
  const places = stack.split('\n').flatMap((line) => /^ +at (.*)$/.exec(line)?.[1] ?? [])
  return [`${event}: ${message}`, ...places.slice(0, 3).map(withoutFolder)].join(' < ')
}

function withoutFolder(place: string): string {
  return place.replace(/\((?:file:\/\/)?\/.*\/(?=[^/]+\/[^/]+$)/, '(')
}
