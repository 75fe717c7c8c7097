import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'

/*
 * What this package knows of Express: an application has one object from which its requests inherit, and one for its
 * responses. What stands there costs nothing per request. Behind its last handler it answers itself, with the 404 and
 * the pages of errors that its users know, unless it is called with a third argument.
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

type Step = (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void) => void

/**
 * Has an application of Express or connect answer as behind its last handler: with its own 404, or with its page of an
 * error, of which it also keeps a log. Returns false where `app` is no such application.
 */
export function answerBehind(app: RequestListener, res: ServerResponse, error?: unknown): boolean {
  const { handle } = app as { handle?: unknown }
  if (typeof handle !== 'function' || !('router' in app || 'stack' in app)) return false
  Reflect.apply(handle, withoutHandlers(app, error), [res.req, res])
  return true
}

/** The application with one handler, which passes `error` on: `router` is of Express 5, `_router` of 4, `stack` of connect. */
function withoutHandlers(app: RequestListener, error: unknown): object {
  const handle: Step = (_req, _res, next) => next(error)
  const router = { value: { handle } }
  const stack = { value: [{ route: '', handle }] }
  return Object.create(app, { router, _router: router, stack }) as object
}
