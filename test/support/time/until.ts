import { noteWait, untilNextTest } from './waiting.js'

/**
 * Calls `look` once in each turn of the event loop until it returns a true value, and returns that. After ten seconds
 * it fails, so that no test leaves a loop that keeps the process alive. Once another test has begun it waits in silence: a
 * failure would count as that test's.
 */
export async function until<Found>(
  look: () => Found,
  what = `this to come true: ${look.toString()}`,
): Promise<NonNullable<Found>> {
  const end = performance.now() + 10_000
  const isOver = noteWait(() => what)
  const isLeft = untilNextTest()
  try {
    for (;;) {
      const found = look()
      if (found) return found
      if (isLeft()) await new Promise(() => {})
      if (performance.now() > end) throw new Error(`waited 10 s for ${what}`)
      await new Promise(setImmediate)
    }
  } finally {
    isOver()
  }
}
