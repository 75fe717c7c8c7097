const EVERY_MS = 10_000

/** Says every ten seconds how far a part has come, on stderr: its results alone are its output. */
export class Progress {
  private readonly name: string
  private last = performance.now()

  constructor(name: string) {
    this.name = name
  }

  /** Makes a note of one case behind the others: `done` of `all`, in the stage under way. */
  tell(stage: string, done: number, all: number): void {
    const now = performance.now()
    if (now - this.last < EVERY_MS) return
    this.last = now
    console.error(`${this.name}, ${stage}: ${done} of ${all}`)
  }
}
