/**
 * Waits until `count` stays the same while three requests go through the server at `url`, and returns it. By then everything
 * that was on its way through the same event loop has arrived, without waiting for a fixed time.
 */
export async function standstill(url: string, count: () => number): Promise<number> {
  let before = Number.NaN
  while (before !== count()) {
    before = count()
    for (let trip = 0; trip < 3; trip++) await roundTrip(url)
  }
  return before
}

/** Sends a request to the server at `url`. The bytes that were written before to any other socket here are read by then. */
export async function roundTrip(url: string): Promise<void> {
  await (await fetch(`${url}/meanwhile`)).text()
}
