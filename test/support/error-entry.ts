/** A message for developers: it ends with its entry on docs/errors.md. */
export function withEntry(message: string, entry: string): string {
  return `${message} (see docs/errors.md#${entry.toLowerCase()})`
}
