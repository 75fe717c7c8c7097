/**
 * Tells whether credentials or a challenge belong to the connection, which HTTP does not provide for (RFC 4559 §6).
 */
export function isConnectionLogin(value: string): boolean {
  return /(?:^|,)\s*(?:ntlm|negotiate)(?:[\s,]|$)/i.test(value)
}

/** Tells whether a response begins a login that belongs to the connection. */
export function sendsLogin(status: number, lines: readonly string[]): boolean {
  if (status !== 401) return false
  for (let i = 0; i < lines.length; i += 2) {
    if (/^www-authenticate$/i.test(lines[i] as string) && isConnectionLogin(lines[i + 1] as string))
      return true
  }
  return false
}
