/** The headers that describe the bytes of a body: RFC 9530, RFC 3230 and RFC 1864. They are wrong for other bytes. */
export const digestNames = ['content-digest', 'repr-digest', 'digest', 'content-md5'] as const

const names: ReadonlySet<string> = new Set(digestNames)

/** Tells whether a lower-cased name is that of a digest. */
export function isDigest(name: string): boolean {
  return names.has(name)
}
