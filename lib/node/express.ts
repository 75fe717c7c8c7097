import type { IncomingMessage, ServerResponse } from 'node:http'

/*
 * Facts about Express: all requests of an application inherit from one object, and so do its responses. A member of
 * such an object costs nothing per request.
 */

/**
 * Returns the object from which the responses of an Express application inherit (`app.response`). Of nested
 * applications it is that of the outermost one, which a response keeps when it leaves the inner one. Undefined
 * without an application.
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
