/** What a foreign transport makes otherwise of some responses, and why that is so. */
interface Difference {
  readonly transports: readonly string[]
  /** Which entries, by their names. */
  readonly entries: RegExp
  readonly why: string
}

export const differences: readonly Difference[] = []

/** Why a transport may differ in an entry; undefined where nothing tells of it. */
export function reasonFor(transport: string, entry: string): string | undefined {
  return differences.find(({ transports, entries }) => transports.includes(transport) && entries.test(entry))
    ?.why
}
