import type { IncomingMessage, ServerResponse } from 'node:http'

/*
 * What this package knows of Express: an application has one object from which its requests inherit, and one for its
 * responses. What stands there costs nothing per request.
 */

/**
 * The object that the responses of an Express application inherit from (`app.response`): of nested applications that
 * of the outermost one, which a response keeps when it leaves the inner one. Undefined where there is no application.
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
 * `base`, unless that is a class.
 */
export function expressRequestOf(req: IncomingMessage, base: object): object | undefined {
  let last: object = req
  for (let next: object = req; next !== base; next = Object.getPrototypeOf(next) as object) {
    if (Object.getPrototypeOf(next) === null) return undefined
    last = next
  }
  return last === req || Object.hasOwn(last, 'constructor') ? undefined : last
}
