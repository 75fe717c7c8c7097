import type { ServerResponse } from 'node:http'
import { applicationResponseOf } from './express.js'
import { AWAITS_CONTINUE, type OutgoingResponse } from './internals.js'
import { HEAD_LAYER, WRITE_LAYER } from './keys.js'

/*
 * The one place where methods of a response are wrapped:
 *
 *     res.writeHead(…) ─▶ outermost layer ─▶ what others have put around it ─▶ wrapMethod's ─▶ Node's own
 */

/** A method of a response, whatever others have put around it. */
export type Method = (this: ServerResponse, ...args: unknown[]) => unknown

/** Runs in place of a method; `inner` is the method as it was, or as everybody else sees it. */
export type Around = (res: ServerResponse, inner: Method, args: unknown[]) => unknown

/** Puts `around` in front of one method of one response. What other code puts around the method later comes before it. */
export function wrapMethod(res: ServerResponse, name: 'writeHead' | 'write' | 'end', around: Around): void {
  const inner = res[name] as Method
  function wrapped(this: ServerResponse, ...args: unknown[]): unknown {
    return around(this, inner, args)
  }
  res[name] = wrapped as never
}

/**
 * Puts the head of a response that waits its turn behind what waits with it. With bytes, Node would put it in front of
 * all that is queued: a `100 Continue` would be in the body.
 */
export function queueHead(res: OutgoingResponse): void {
  wrapMethod(res, 'writeHead', (_, writeHead, args) => {
    const result = writeHead.apply(res, args)
    res._send('', 'latin1')
    return result
  })
}

/** Has Node ask, rather than remember, whether the client of a response still waits for `100 Continue`. */
export function awaitContinue(res: ServerResponse, isAwaited: () => boolean): void {
  Object.defineProperty(res, AWAITS_CONTINUE, { get: isAwaited, configurable: true })
}

type LayeredName = 'write' | 'writeHead'

const KEYS = { write: WRITE_LAYER, writeHead: HEAD_LAYER } as const

/** What stands in place of a method on a response that takes part. */
interface Accessor {
  readonly get: (this: ServerResponse) => Method
  readonly set: (this: ServerResponse, inner: Method) => void
}

/** The responses that take part; called for each access to a method. */
type TakesPart = (res: ServerResponse) => boolean

/**
 * Makes `around` the outermost layer of one method of a response, also when other code wraps that method later.
 *
 * An accessor does it: reading gives the outermost layer, assigning puts a new one around what was assigned. A layer
 * that is no longer the outermost passes its calls through. The accessor stands on the prototype that an Express
 * application has for its responses; on the response itself where there is no such prototype, or where other code has
 * wrapped the method before.
 */
export function outermost(
  name: LayeredName,
  takesPart: TakesPart,
  around: Around,
): (res: ServerResponse) => void {
  const key: unique symbol = KEYS[name] as never
  interface Layered extends ServerResponse {
    [key]?: Method
  }

  // The first layer needs no state on the response, as most responses are never wrapped.
  function first(this: Layered, ...args: unknown[]): unknown {
    const inner = Object.getPrototypeOf(this)[name] as Method
    return this[key] === undefined ? around(this, inner, args) : inner.apply(this, args)
  }

  function layer(inner: Method): Method {
    return function outer(this: Layered, ...args) {
      return this[key] === outer ? around(this, inner, args) : inner.apply(this, args)
    }
  }

  const accessor: Accessor = {
    get(this: Layered): Method {
      return this[key] ?? first
    },
    set(this: Layered, inner: Method) {
      this[key] = layer(inner)
    },
  }

  return function stayOutermost(res: Layered): void {
    const prototype = Object.hasOwn(res, name) ? undefined : applicationResponseOf(res)
    if (prototype === undefined) {
      if (Object.hasOwn(res, name)) res[key] = layer(res[name] as Method)
      Object.defineProperty(res, name, { ...accessor, configurable: true, enumerable: true })
    } else if (!Object.hasOwn(prototype, key)) {
      Object.defineProperty(prototype, key, { value: undefined, writable: true })
      watchPrototype(prototype, name, takesPart, accessor)
    }
  }
}

/** Places the accessor on an application's prototype. Responses that do not take part do not notice. */
function watchPrototype(
  prototype: object,
  name: LayeredName,
  takesPart: TakesPart,
  { get, set }: Accessor,
): void {
  // An application may have given its responses a method of its own.
  let own = Object.getOwnPropertyDescriptor(prototype, name)?.value as Method | undefined

  Object.defineProperty(prototype, name, {
    configurable: true,
    enumerable: true,
    get(this: ServerResponse): Method {
      if (takesPart(this)) return get.call(this)
      return own ?? (Reflect.get(Object.getPrototypeOf(prototype) as object, name, this) as Method)
    },
    set(this: ServerResponse, value: Method) {
      if (takesPart(this)) set.call(this, value)
      else if (this === prototype) own = value
      else Object.defineProperty(this, name, { value, configurable: true, enumerable: true, writable: true })
    },
  })
}
