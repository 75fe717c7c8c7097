/**
 * Sets timers, and returns a function that lists those that have run. Timers set in one turn of the event loop run in
 * the order of their lengths; `performance.now()` may be ahead of the time they count from by the length of a turn.
 */
export function passedTimers(...milliseconds: readonly number[]): () => readonly number[] {
  const passed: number[] = []
  for (const length of milliseconds) setTimeout(() => passed.push(length), length).unref()
  return () => passed
}
