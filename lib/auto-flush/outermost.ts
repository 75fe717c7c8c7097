import type { ServerResponse } from 'node:http'

/** A method of a response, whatever others have put around it. */
export type Method = (this: ServerResponse, ...args: unknown[]) => unknown

/** Runs in place of a method; `inner` is the method as everybody else sees it. */
export type Around = (res: ServerResponse, inner: Method, args: unknown[]) => unknown

/**
 * Makes `around` the outermost layer of one method of a response, also when other code wraps that method later.
 *
 * An accessor property does it: reading gives the outermost layer, assigning puts a new one around what was assigned.
 * A layer that is no longer the outermost passes its calls through. Functions and property descriptor are shared by
 * all responses, as each property added to an Express response costs Node 20 and 22 about 3 us.
 */
export function outermost(name: 'write' | 'writeHead', around: Around): (res: ServerResponse) => void {
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

  return function stayOutermost(res: Layered): void {
    const wrapped = Object.hasOwn(res, name) ? (res[name] as Method) : undefined
    Object.defineProperty(res, name, descriptor)
    if (wrapped !== undefined) res[current] = layer(wrapped)
  }
}
