/**
 * Notes the mishaps that no test may cause: unhandled exceptions and rejections, and warnings of the process, such as
 * those about leaked listeners and about files that were not closed.
 */
export class Mishaps {
  private readonly seen: unknown[] = []
  private readonly note = (what: unknown): void => {
    // http-proxy calls a function that Node 22 deprecates.
    if ((what as Error | undefined)?.name !== 'DeprecationWarning') this.seen.push(what)
  }

  watch(): void {
    for (const event of events) process.on(event, this.note)
  }

  /** Returns the mishaps after all pending callbacks have run. */
  async end(): Promise<readonly unknown[]> {
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
    for (const event of events) process.off(event, this.note)
    return this.seen.splice(0)
  }
}

const events = ['uncaughtExceptionMonitor', 'unhandledRejection', 'warning'] as const
