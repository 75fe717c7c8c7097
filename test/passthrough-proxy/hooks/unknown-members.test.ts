import { createServer } from 'node:http'
import vm from 'node:vm'
import { expect } from 'chai'
import express, { type NextFunction, type Request, type Response } from 'express'
import { passthroughProxy, type PassthroughProxyOptions, type SluicewayError } from 'sluiceway'
import { closeServers, listen, serve } from '../../support/servers/servers.js'

type Hook = 'onRequest' | 'onResponse'

/** Assignments in the way of other packages, as hooks in JavaScript without types make them; each in code without 'use strict'. */
const assignments: readonly (readonly [hook: Hook, code: string, message: string])[] = [
  [
    'onRequest',
    "it.headers['x-user'] = 'ada'",
    'headers: a list of lines has no property "x-user"; call set("x-user", value)',
  ],
  ['onRequest', "Object.assign(it.headers, { cookie: '' })", 'call set("cookie", value)'],
  [
    'onRequest',
    "it.headers = { cookie: '' }",
    'outgoing.headers cannot be replaced; change its lines with set()',
  ],
  ['onRequest', "it.url = '/other'", 'outgoing has no "url"; a hook may set method, path, body'],
  ['onResponse', 'it.status = 404', 'incoming has no "status"; a hook may set statusCode'],
  [
    'onResponse',
    "it.body = 'other'",
    'incoming has no "body"; a hook may set statusCode, statusMessage and lines of headers, and replace(body)',
  ],
  ['onResponse', 'it.headers.server = undefined', 'call set("server", value)'],
  ['onResponse', 'it.headers = {}', 'incoming.headers cannot be replaced; change its lines with set()'],
]

/** Calls of methods that the objects of other packages have. A private method of ours with that name would be called. */
const calls: readonly (readonly [hook: Hook, code: string])[] = [
  ['onRequest', "it.setHeader('x-user', 'ada')"],
  ['onRequest', "it.removeHeader('cookie')"],
  ['onRequest', "it.write('text')"],
  ['onRequest', "it.end('text')"],
  ['onRequest', 'it.destroy()'],
  ['onRequest', 'it.abort()'],
  ['onResponse', 'it.pipe(process.stdout)'],
  ['onResponse', "it.on('data', () => {})"],
  ['onResponse', "it.once('end', () => {})"],
  ['onResponse', "it.setEncoding('utf8')"],
  ['onResponse', 'it.read()'],
  ['onResponse', 'it.resume()'],
  ['onResponse', 'it.destroy()'],
  ['onResponse', 'it.text()'],
  ['onResponse', 'it.json()'],
]

/** Compiles code as a CommonJS module does: sloppy, so that an assignment to a frozen object would be ignored. */
function sloppy(code: string): (it: unknown) => void {
  return vm.runInThisContext(`(function (it) { ${code} })`) as (it: unknown) => void
}

/** What `next` gets from a proxy with this hook. */
async function errorOf(options: PassthroughProxyOptions): Promise<SluicewayError> {
  const upstream = await listen(createServer((_req, res) => res.end('of the upstream')))
  const errors: SluicewayError[] = []
  const app = express().use(passthroughProxy(`http://127.0.0.1:${upstream.port}`, options))
  // oxlint-disable-next-line max-params
  app.use((error: SluicewayError, _req: Request, res: Response, _next: NextFunction) => {
    errors.push(error)
    res.status(error.status).end()
  })
  const { url } = await serve(app)
  expect((await fetch(url)).status).to.equal(500)
  return errors[0]!
}

describe('a hook of passthroughProxy that uses a name of another package', () => {
  afterEach(closeServers)

  for (const [hook, code, message] of assignments) {
    it(`fails, because the assignment would be ignored: ${hook}, ${code}`, async () => {
      const error = await errorOf({ [hook]: sloppy(code) })
      expect(error).to.include({ code: 'ERR_SLUICEWAY_PROXY_HOOK', status: 500 })
      expect((error.cause as Error).message).to.include(message)
    })
  }

  for (const [hook, code] of calls) {
    it(`fails with the name that it has called: ${hook}, ${code}`, async () => {
      const error = await errorOf({ [hook]: sloppy(code) })
      expect(error).to.include({ code: 'ERR_SLUICEWAY_PROXY_HOOK', status: 500 })
      const [called] = code.split('(')
      expect((error.cause as Error).message).to.equal(`${called} is not a function`)
    })
  }

  it('may keep values under symbols, read any name, and show what it got', async () => {
    const seen: unknown[] = []
    const key = Symbol('of the hook')
    const upstream = await listen(createServer((_req, res) => res.end('of the upstream')))
    const proxy = passthroughProxy(`http://127.0.0.1:${upstream.port}`, {
      onResponse(incoming) {
        const it = incoming as unknown as Record<PropertyKey, unknown>
        it[key] = 1
        seen.push(it[key], it['then'], 'url' in it, it instanceof Object)
      },
    })
    const { url } = await serve(express().use(proxy))
    expect(await (await fetch(url)).text()).to.equal('of the upstream')
    expect(seen).to.deep.equal([1, undefined, false, true])
  })
})
