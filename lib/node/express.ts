import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { IncomingMessage as NodeRequest } from './http.js'

/*
 * Facts about Express: all requests of an application inherit from one object, and so do its responses. A member of
 * such an object costs nothing per request. After its last handler an application answers itself, with a 404 or the page
 * for an error, unless it was called with a third argument.
 */

/**
 * Returns the object from which the responses of an Express application inherit (`app.response`). With nested
 * applications it is that of the outermost one, which a response keeps when it leaves the inner one. Returns
 * undefined without an application.
 */
export function applicationResponseOf(res: ServerResponse): object | undefined {
  let application: object | undefined
  let prototype = Object.getPrototypeOf(res) as object
  while (Object.hasOwn(prototype, 'app')) {
    application = prototype
    prototype = Object.getPrototypeOf(prototype) as object
  }
  return application
}

/**
 * Returns `express.response`, from which the responses of all applications of one copy of Express inherit, also those of
 * an application that a router calls as a function. `application` is what `applicationResponseOf` returns.
 */
export function commonResponseOf(application: object): object {
  const common = Object.getPrototypeOf(application) as object
  return Object.hasOwn(common, 'constructor') ? application : common
}

/**
 * Finds `express.request`, from which the requests of all applications inherit: the last object before Node's own
 * `base`, unless that object is a class.
 */
export function expressRequestOf(req: IncomingMessage, base: object): object | undefined {
  let last: object = req
  for (let next: object = req; next !== base; next = Object.getPrototypeOf(next) as object) {
    if (Object.getPrototypeOf(next) === null) return undefined
    last = next
  }
  return last === req || Object.hasOwn(last, 'constructor') ? undefined : last
}

/**
 * Lets code write the properties of a request that Express has made read-only, such as `query` and `path`: on a request
 * that no application has seen, listeners for 'upgrade' write them. Without a write, they stay those of Express.
 */
export function letWrite(req: IncomingMessage): void {
  let from: object | null = req
  while (from !== null && from !== NodeRequest.prototype) {
    for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(from))) {
      const isReadOnly = property.get !== undefined && property.set === undefined
      if (isReadOnly && !Object.hasOwn(req, name)) letWriteOne(req, name, property)
    }
    from = Object.getPrototypeOf(from) as object | null
  }
}

function letWriteOne(req: IncomingMessage, name: string, property: PropertyDescriptor): void {
  const set = (value: unknown): void => {
    Object.defineProperty(req, name, { value, writable: true, enumerable: true, configurable: true })
  }
  Object.defineProperty(req, name, { ...property, set, enumerable: false, configurable: true })
}

type Step = (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void) => void

/**
 * Lets an application of Express or connect answer as it does after its last handler: with its own 404, or with its
 * page for an error, which it also logs. Returns false if `app` is not such an application.
 */
export function answerAfterHandlers(app: RequestListener, res: ServerResponse, error?: unknown): boolean {
  const { handle } = app as { handle?: unknown }
  if (typeof handle !== 'function' || !('router' in app || 'stack' in app)) return false
  Reflect.apply(handle, withoutHandlers(app, error), [res.req, res])
  return true
}

/**
 * Returns the application with a single handler, which passes `error` on: Express 5 has `router`, 4 `_router`, connect
 * `stack`.
 */
function withoutHandlers(app: RequestListener, error: unknown): object {
  const handle: Step = (_req, _res, next) => next(error)
  const router = { value: { handle } }
  const stack = { value: [{ route: '', handle }] }
  return Object.create(app, { router, _router: router, stack }) as object
}
