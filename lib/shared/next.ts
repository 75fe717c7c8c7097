import { wrongOption } from './error-page.js'
import { show } from './options.js'

/**
 * Throws if the third argument of a middleware is not a function. `http.createServer(maxBytes('1mb'))` passes none, and
 * http-proxy takes options or a port in its place. `remedy` is a clause that says what to do.
 */
export function requireNext(owner: string, next: unknown, remedy?: string): void {
  if (typeof next === 'function') return
  const usual = `mount the middleware with app.use(${owner}(…)), or call it with a next function of your own`
  throw wrongOption(`${owner}: next must be a function, got ${show(next)}; ${remedy ?? usual}`)
}
