import type { IncomingMessage, ServerResponse } from 'node:http'

/** True up to Node 22. */
const LOSES_CLASSES = Number.parseInt(process.versions.v8, 10) < 13

/**
 * Makes the properties of a request and its response quick to access after Express has changed their prototypes.
 *
 * Up to Node 22, each property that is added to such an object gives it a hidden class of its own. Then V8 has no class
 * in its caches, and each access, here and in Node, looks the property up again. Objects that keep their properties in
 * a dictionary instead share one hidden class, so that the caches work.
 */
export function shareHiddenClass(req: IncomingMessage, res: ServerResponse): void {
  if (!LOSES_CLASSES) return
  /* c8 ignore start -- coverage is measured on each version, and later ones do not need this */
  if (!hasNewPrototype(res)) return
  useDictionary(req, 'method')
  useDictionary(res, 'req')
}

/** Tells whether an object has another prototype than the instances of its class. */
function hasNewPrototype(object: object): boolean {
  const { constructor } = object as { constructor?: { prototype?: unknown } }
  return Object.getPrototypeOf(object) !== constructor?.prototype
}

/** Removes a property and puts it back as it was: V8 moves all to a dictionary if it was not the one added last. */
function useDictionary(object: object, key: string): void {
  const property = Object.getOwnPropertyDescriptor(object, key)
  if (property?.configurable !== true) return
  Reflect.deleteProperty(object, key)
  Object.defineProperty(object, key, property)
}
/* c8 ignore stop */
