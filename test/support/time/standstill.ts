/**
 * Waits until `count` stays the same while three requests go through the server at `url`, and returns it. By then everything
 * that was on its way through the same event loop has arrived, without waiting for a fixed time.
 */
export async function standstill(url: string, count: () => number): Promise<number> {
  let before = Number.NaN
  while (before !== count()) {
    before = count()
    for (let trip = 0; trip < 3; trip++) await (await fetch(`${url}/meanwhile`)).text()
  }
  return before
}
