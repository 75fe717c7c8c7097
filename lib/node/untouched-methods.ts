type Methods = Readonly<Record<string, unknown>>

/**
 * Returns a function that tells whether an object has Node's own methods of `prototype`: neither it nor a class has
 * replaced one of them, before this package was loaded or since. `texts` has a part of the source text of each, which
 * is the same from Node 20 to 26; a method with another text counts as replaced.
 */
export function untouchedMethods(
  prototype: object,
  texts: Readonly<Record<string, string>>,
): (owner: object) => boolean {
  const found = Object.keys(texts).map((name) => [name, (prototype as Methods)[name]] as const)
  const areNodes = found.every(([name, method]) => String(method).includes(texts[name] as string))
  return (owner) => areNodes && has(owner, found)
}

function has(owner: object, methods: readonly (readonly [string, unknown])[]): boolean {
  for (const [name, method] of methods) if ((owner as Methods)[name] !== method) return false
  return true
}
