import type { ServerResponse } from 'node:http'
import { applicationPrototype, settingsFor } from './mounted.js'

/** A method of a response, whatever others have put around it. */
export type Method = (this: ServerResponse, ...args: unknown[]) => unknown

/** Runs in place of a method; `inner` is the method as everybody else sees it. */
export type Around = (res: ServerResponse, inner: Method, args: unknown[]) => unknown

type Name = 'write' | 'writeHead'

/** What stands in place of a method on a response that has passed the middleware. */
interface Accessor {
  readonly get: (this: ServerResponse) => Method
  readonly set: (this: ServerResponse, inner: Method) => void
}

/**
 * Makes `around` the outermost layer of one method of a response, also when other code wraps that method later.
 *
 * An accessor does it: reading gives the outermost layer, assigning puts a new one around what was assigned. A layer
 * that is no longer the outermost passes its calls through. The accessor stands on the prototype that an Express
 * application has for its responses; on the response itself where there is no such prototype, or where somebody has
 * wrapped the method before.
 */
export function outermost(name: Name, around: Around): (res: ServerResponse) => void {
  const kLayer: unique symbol = Symbol.for(`sluiceway.autoFlush.${name}`) as never
  interface Layered extends ServerResponse {
    [kLayer]?: Method
  }

  // The first layer needs no state on the response, as most responses are never wrapped.
  function first(this: Layered, ...args: unknown[]): unknown {
    const inner = Object.getPrototypeOf(this)[name] as Method
    return this[kLayer] === undefined ? around(this, inner, args) : inner.apply(this, args)
  }

  function layer(inner: Method): Method {
    return function outer(this: Layered, ...args) {
      return this[kLayer] === outer ? around(this, inner, args) : inner.apply(this, args)
    }
  }

  const accessor: Accessor = {
    get(this: Layered): Method {
      return this[kLayer] ?? first
    },
    set(this: Layered, inner: Method) {
      this[kLayer] = layer(inner)
    },
  }

  return function stayOutermost(res: Layered): void {
    const prototype = Object.hasOwn(res, name) ? undefined : applicationPrototype(res)
    if (prototype === undefined) {
      if (Object.hasOwn(res, name)) res[kLayer] = layer(res[name] as Method)
      Object.defineProperty(res, name, { ...accessor, configurable: true, enumerable: true })
    } else if (!Object.hasOwn(prototype, kLayer)) {
      Object.defineProperty(prototype, kLayer, { value: undefined, writable: true })
      watchPrototype(prototype, name, accessor)
    }
  }
}

/** Places the accessor on an application's prototype. Responses that have not passed the middleware do not notice. */
function watchPrototype(prototype: object, name: Name, { get, set }: Accessor): void {
  // An application may have given its responses a method of its own.
  let own = Object.getOwnPropertyDescriptor(prototype, name)?.value as Method | undefined

  Object.defineProperty(prototype, name, {
    configurable: true,
    enumerable: true,
    get(this: ServerResponse): Method {
      if (settingsFor(this)) return get.call(this)
      return own ?? (Reflect.get(Object.getPrototypeOf(prototype) as object, name, this) as Method)
    },
    set(this: ServerResponse, value: Method) {
      if (settingsFor(this)) set.call(this, value)
      else if (this === prototype) own = value
      else Object.defineProperty(this, name, { value, configurable: true, enumerable: true, writable: true })
    },
  })
}
