/**
 * Sets timers, and returns what tells which of them have gone off. Timers set in one turn of the event loop go off in
 * the order of their lengths; `performance.now()` may be ahead of the time they count from, by as long as a turn takes.
 */
export function passedTimers(...milliseconds: readonly number[]): () => readonly number[] {
  const passed: number[] = []
  for (const length of milliseconds) setTimeout(() => passed.push(length), length).unref()
  return () => passed
}
