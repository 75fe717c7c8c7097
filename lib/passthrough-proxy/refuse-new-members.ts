import { wrongOption } from '../shared/error-page.js'

/**
 * Refuses assignments to names that the objects of a class do not have, such as `outgoing.url = '/x'`: they would be
 * ignored. Such an assignment goes up the chain of prototypes, and ends at the Proxy; a member of the class never
 * reaches it. `remedy` says what to write instead.
 */
export function refuseNewMembers(
  { prototype }: { readonly prototype: object },
  remedy: (name: string) => string,
): void {
  const end = new Proxy(
    {},
    {
      set(_end, name, value, object: object) {
        if (typeof name === 'string') throw wrongOption(remedy(name))
        return Reflect.defineProperty(object, name, { value, writable: true, configurable: true })
      },
    },
  )
  Object.setPrototypeOf(prototype, end)
}

/** Creates the error of a hook that assigns to `headers`. */
export function headersReplaced(owner: string): TypeError {
  return wrongOption(
    `${owner}.headers cannot be replaced; change its lines with set(), append() and delete()`,
  )
}
