import type { ServerResponse } from 'node:http'
import { applicationResponseOf, commonResponseOf } from '../express.js'
import { AWAITS_CONTINUE, type OutgoingResponse } from '../internals.js'
import { HEAD_LAYER, PASSING, PROVIDED, WRITE_LAYER } from '../keys.js'

/*
 * The one place where methods of a response are wrapped:
 *
 *     res.writeHead(…) ─▶ outermost layer ─▶ layers of other code ─▶ wrapMethod's ─▶ Node's own
 */

/** A method of a response, possibly with layers of other code around it. */
export type Method = (this: ServerResponse, ...args: unknown[]) => unknown

interface MarkedMethod extends Method {
  /** The method itself, if it is a layer that passes on what it gets. */
  readonly [PASSING]?: unknown
}

/** Runs instead of a method; `inner` is the method without this layer. */
type Around = (res: ServerResponse, inner: Method, args: unknown[]) => unknown

/** The methods that set the headers of a response. Node throws in each once the head was written. */
const SETTERS = ['setHeader', 'setHeaders', 'appendHeader', 'removeHeader'] as const

type WrappedName = 'writeHead' | 'write' | 'end' | (typeof SETTERS)[number]

/** Wraps one method of one response in `around`. Layers that other code adds later run before it. */
export function wrapMethod(res: ServerResponse, name: WrappedName, around: Around): void {
  const inner = res[name] as Method
  function wrapped(this: ServerResponse, ...args: unknown[]): unknown {
    return around(this, inner, args)
  }
  res[name] = wrapped as never
}

/** Runs code before a method that sends a body. The layer does not count as that of other code: see `isReplaced`. */
export function runBefore(res: ServerResponse, name: 'write' | 'end', run: () => void): void {
  const isOthers = isReplaced(res, name)
  wrapMethod(res, name, (_, inner, args) => {
    run()
    return inner.apply(res, args)
  })
  if (!isOthers) markPassing(res[name] as Method)
}

function markPassing(layer: Method): Method {
  return Object.defineProperty(layer, PASSING, { value: layer })
}

function markAs(inner: Method, layer: Method): Method {
  return isPassing(inner) ? markPassing(layer) : layer
}

/** Tells whether other code has replaced a method of a response: it may change the body there, and the head with it. */
export function isReplaced(res: ServerResponse, name: 'write' | 'end'): boolean {
  return Object.hasOwn(res, name) && !isPassing(res[name])
}

/**
 * Other code may have put anything in the place of a method: also a proxy of a layer, or a function that inherits from
 * it or has copies of its properties, as dd-trace makes them.
 */
function isPassing(method: unknown): boolean {
  return typeof method === 'function' && (method as MarkedMethod)[PASSING] === method
}

/**
 * Discards the headers that the application still sets: the head that was written is not its own, and the exception
 * for a late header would end the process.
 */
export function discardHeaders(res: ServerResponse): void {
  // A response over HTTP/2 has no `setHeaders`.
  for (const name of SETTERS) if (name in res) wrapMethod(res, name, () => res)
}

/**
 * Queues the head of a response that waits for its turn. If it came with bytes, Node would put it before everything
 * that is queued, and a `100 Continue` would end up in the body.
 */
export function queueHead(res: OutgoingResponse): void {
  wrapMethod(res, 'writeHead', (_, writeHead, args) => {
    const result = writeHead.apply(res, args)
    res._send('', 'latin1')
    return result
  })
}

/**
 * Makes Node ask `isAwaited` whether the client of a response still waits for `100 Continue`, instead of remembering
 * it.
 */
export function awaitContinue(res: ServerResponse, isAwaited: () => boolean): void {
  Object.defineProperty(res, AWAITS_CONTINUE, { get: isAwaited, configurable: true })
}

type LayeredName = 'write' | 'writeHead'

const KEYS = { write: WRITE_LAYER, writeHead: HEAD_LAYER } as const

/** The accessor that replaces a method of a response that takes part. */
interface Accessor {
  readonly configurable: true
  readonly enumerable: true
  readonly get: (this: ServerResponse) => Method
  readonly set: (this: ServerResponse, inner: Method) => void
}

/** Decides whether a response takes part; called for each access to a method. */
type TakesPart = (res: ServerResponse) => boolean

/**
 * Keeps `around` the outermost layer of one method of a response, even if other code wraps that method later.
 *
 * An accessor does this: reading the method returns the outermost layer, and assigning one puts a new layer around
 * it. A layer that is no longer the outermost passes its calls through. The accessor is on the prototypes that an
 * Express application has for its responses, or on the response itself if there is no such prototype, or if other
 * code has wrapped the method, before or later.
 */
export function outermost(
  name: LayeredName,
  takesPart: TakesPart,
  around: Around,
): (res: ServerResponse) => void {
  const key: unique symbol = KEYS[name] as never
  interface Layered extends ServerResponse {
    [key]?: Method | undefined
  }

  // The first layer needs no state on the response, as most responses are never wrapped.
  const first = markPassing(function first(this: Layered, ...args: unknown[]): unknown {
    const inner = methodBelow(this, name, first)
    return this[key] === undefined ? around(this, inner, args) : inner.apply(this, args)
  })

  function layer(inner: Method): Method {
    return markAs(inner, function outer(this: Layered, ...args) {
      return this[key] === outer ? around(this, inner, args) : inner.apply(this, args)
    })
  }

  const accessor: Accessor = {
    configurable: true,
    enumerable: true,
    get(this: Layered): Method {
      // Other code that deletes the method to remove its layer deletes this accessor, and the prototype's is read.
      if (this[key] !== undefined && !Object.hasOwn(this, name)) this[key] = undefined
      return this[key] ?? first
    },
    set(this: Layered, inner: Method) {
      this[key] = layer(inner)
      // An application that is called as a function gives the response another prototype.
      if (!Object.hasOwn(this, name)) Object.defineProperty(this, name, accessor)
    },
  }

  /** Layers a method that other code has wrapped before. */
  function layerWrapped(res: Layered): void {
    if (Object.getOwnPropertyDescriptor(res, name)?.get === accessor.get) return
    res[key] = layer(res[name] as Method)
    Object.defineProperty(res, name, accessor)
  }

  function watchPrototypeOnce(prototype: object): void {
    if (Object.hasOwn(prototype, key)) return
    Object.defineProperty(prototype, key, { value: undefined, writable: true })
    watchPrototype(prototype, name, takesPart, accessor)
  }

  return function stayOutermost(res: Layered): void {
    const application = applicationResponseOf(res)
    if (Object.hasOwn(res, name)) layerWrapped(res)
    else if (application === undefined) Object.defineProperty(res, name, accessor)
    else if (!Object.hasOwn(application, key)) {
      for (const prototype of [application, commonResponseOf(application)]) watchPrototypeOnce(prototype)
    }
  }
}

/**
 * Returns a method of a response without its first layer, which an object that inherits from a response would otherwise
 * run again and again.
 */
function methodBelow(res: ServerResponse, name: LayeredName, first: Method): Method {
  const below = Object.getPrototypeOf(res) as ServerResponse
  const method = below[name] as Method
  return method === first ? methodBelow(below, name, first) : method
}

/** Places the accessor on an application's prototype, unnoticed by responses that do not take part. */
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

/** Tells whether other code has given a response a `flush`, as `compression` does; that of autoFlush does not count. */
export function hasOtherFlush({ flush }: Partial<Pick<ServerResponse, 'flush'>>): boolean {
  return typeof flush === 'function' && !(PROVIDED in flush)
}
