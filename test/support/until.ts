/**
 * Calls `look` once in each turn of the event loop until it returns a true value, and returns that. After ten seconds
 * it fails, so that no test leaves a loop that keeps the process alive.
 */
export async function until<Found>(look: () => Found): Promise<NonNullable<Found>> {
  const end = performance.now() + 10_000
  for (;;) {
    const found = look()
    if (found) return found
    if (performance.now() > end) throw new Error(`never came true: ${look.toString()}`)
    await new Promise(setImmediate)
  }
}
