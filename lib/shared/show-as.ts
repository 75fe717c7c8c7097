import { inspect } from 'node:util'

/**
 * Sets what console.log shows of the objects of a class. Otherwise those that lead to a request would be shown as
 * hundreds of lines of sockets and streams.
 */
export function showAs<Instance extends object>(
  { prototype }: { readonly prototype: Instance },
  shown: (instance: Instance) => object,
): void {
  Object.defineProperty(prototype, inspect.custom, {
    value(this: Instance) {
      return shown(this)
    },
  })
}
