import secureJson from 'secure-json-parse'

/** The treatment of keys that would poison a prototype. */
export type PrototypePoisoning = 'error' | 'remove' | 'ignore'

/** Parses JSON and treats keys that would poison a prototype as `action` says. Throws SyntaxError. */
export function parseSafely(text: string, action: PrototypePoisoning): unknown {
  return secureJson.parse(text, { protoAction: action, constructorAction: action })
}

/** Throws for a `constructor` with a `prototype`, or removes it. */
export function treatPoison(
  root: Record<string, unknown>,
  action: PrototypePoisoning,
): Record<string, unknown> {
  return secureJson.scan(root, { protoAction: action, constructorAction: action }) as Record<string, unknown>
}

/** Creates the error for a key that would poison a prototype. */
export function poisoned(): Error {
  return new SyntaxError('Object contains forbidden prototype property')
}
