/**
 * Notes what no test may cause: exceptions and rejections that nobody handles, and warnings of the process, such as
 * those of leaked listeners and of files that nobody closed.
 */
export class Mishaps {
  private readonly seen: unknown[] = []
  private readonly note = (what: unknown): void => {
    // http-proxy calls a function that Node 22 has deprecated.
    if ((what as Error | undefined)?.name !== 'DeprecationWarning') this.seen.push(what)
  }

  watch(): void {
    for (const event of events) process.on(event, this.note)
  }

  /** Returns what was noted, once everything that is due has had its turn. */
  async end(): Promise<readonly unknown[]> {
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
    for (const event of events) process.off(event, this.note)
    return this.seen.splice(0)
  }
}

const events = ['uncaughtExceptionMonitor', 'unhandledRejection', 'warning'] as const
