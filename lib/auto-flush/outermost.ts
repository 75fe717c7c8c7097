import type { ServerResponse } from 'node:http'
import { applicationPrototype } from './application-prototype.js'

/** A method of a response, whatever others have put around it. */
export type Method = (this: ServerResponse, ...args: unknown[]) => unknown

/** Runs in place of a method; `inner` is the method as everybody else sees it. */
export type Around = (res: ServerResponse, inner: Method, args: unknown[]) => unknown

type Name = 'write' | 'writeHead'

/** What one mount puts around a method: the property for a response, and the first layer. */
interface Mount {
  readonly first: Method
  readonly assign: (res: ServerResponse, inner: Method) => void
}

/** The responses that are watched by way of their application's prototype, with the mount that came last. */
const watched = {
  write: new WeakMap<object, Mount>(),
  writeHead: new WeakMap<object, Mount>(),
}

/**
 * Makes `around` the outermost layer of one method of a response, also when other code wraps that method later.
 *
 * An accessor property does it: reading gives the outermost layer, assigning puts a new one around what was assigned.
 * A layer that is no longer the outermost passes its calls through. The property stands on the prototype that an
 * Express application has for its responses until somebody wraps the method: a property added to each response would
 * cost Node 20 and 22 some 5 us a request, more than all the rest.
 */
export function outermost(name: Name, around: Around): (res: ServerResponse) => void {
  // One symbol for all mounts and both copies of this package: the mount that comes last replaces the others.
  const current: unique symbol = Symbol.for(`sluiceway.autoFlush.${name}`) as never
  interface Layered extends ServerResponse {
    [current]?: Method
  }

  // The first layer, for the common case that nobody has wrapped the method: it needs no state on the response.
  function first(this: Layered, ...args: unknown[]): unknown {
    const inner = Object.getPrototypeOf(this)[name] as Method
    return this[current] === undefined ? around(this, inner, args) : inner.apply(this, args)
  }

  function layer(inner: Method): Method {
    return function outer(this: Layered, ...args) {
      return this[current] === outer ? around(this, inner, args) : inner.apply(this, args)
    }
  }

  const descriptor: PropertyDescriptor = {
    configurable: true,
    enumerable: true,
    get(this: Layered): Method {
      return this[current] ?? first
    },
    set(this: Layered, inner: Method) {
      this[current] = layer(inner)
    },
  }

  function assign(res: Layered, inner: Method): void {
    Object.defineProperty(res, name, descriptor)
    res[current] = layer(inner)
  }

  const mount: Mount = { first, assign }

  return function stayOutermost(res: ServerResponse): void {
    const prototype = applicationPrototype(res)
    if (Object.hasOwn(res, name)) assign(res, res[name] as Method)
    else if (prototype === undefined) Object.defineProperty(res, name, descriptor)
    else {
      if (!Object.hasOwn(prototype, name)) watchPrototype(prototype, name)
      watched[name].set(res, mount)
    }
  }
}

/** Puts the accessor on an application's prototype, once. Responses that are not watched notice nothing of it. */
function watchPrototype(prototype: object, name: Name): void {
  const inherited = (receiver: object): Method =>
    Reflect.get(Object.getPrototypeOf(prototype) as object, name, receiver) as Method

  Object.defineProperty(prototype, name, {
    configurable: true,
    get(this: object): Method {
      return watched[name].get(this)?.first ?? inherited(this)
    },
    set(this: ServerResponse, value: Method) {
      const mount = watched[name].get(this)
      if (mount !== undefined) mount.assign(this, value)
      else Object.defineProperty(this, name, { value, configurable: true, enumerable: true, writable: true })
    },
  })
}
