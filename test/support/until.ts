import { noteWait } from './waiting.js'

/**
 * Calls `look` once in each turn of the event loop until it returns a true value, and returns that. After ten seconds
 * it fails, so that no test leaves a loop that keeps the process alive.
 */
export async function until<Found>(
  look: () => Found,
  what = `this to come true: ${look.toString()}`,
): Promise<NonNullable<Found>> {
  const end = performance.now() + 10_000
  const isOver = noteWait(() => what)
  try {
    for (;;) {
      const found = look()
      if (found) return found
      if (performance.now() > end) throw new Error(`waited 10 s for ${what}`)
      await new Promise(setImmediate)
    }
  } finally {
    isOver()
  }
}
