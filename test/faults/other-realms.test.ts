import { readdirSync, readFileSync } from 'node:fs'
import { request, type RequestListener } from 'node:http'
import { createRequire } from 'node:module'
import path from 'node:path'
import vm from 'node:vm'
import { expect } from 'chai'
import express from 'express'
import { passthroughProxy } from 'sluiceway'
import type * as sluicewayHere from 'sluiceway'
import { root } from '../support/repository/repository.js'
import { closeServers, serve } from '../support/servers/servers.js'

type Package = typeof sluicewayHere

/** A realm as test runners make one: with its own classes, and with globals that a test replaces. */
interface Realm {
  readonly globals: Record<string, unknown>
  readonly sluiceway: Package
}

/** Loads the package into a realm of its own, as Jest does. Modules of Node and other packages are the usual ones. */
function newRealm(globals: Record<string, unknown> = {}, ofProcess: Partial<NodeJS.Process> = {}): Realm {
  const own = Object.assign(Object.create(process) as NodeJS.Process, ofProcess)
  const sandbox = vm.createContext({ Buffer, URL, performance, setTimeout, process: own, ...globals })
  const loaded = new Map<string, { exports: unknown }>()
  const load = (file: string): unknown => {
    const known = loaded.get(file)
    if (known !== undefined) return known.exports
    const module = { exports: {} }
    loaded.set(file, module)
    const requireOwn = createRequire(file)
    const requireHere = (name: string): unknown =>
      name.startsWith('.') ? load(requireOwn.resolve(name)) : requireOwn(name)
    const parameters = ['module', 'exports', 'require']
    const run = vm.compileFunction(readFileSync(file, 'utf8'), parameters, { parsingContext: sandbox })
    ;(run as (...args: unknown[]) => void)(module, module.exports, requireHere)
    return module.exports
  }
  return { globals: sandbox, sluiceway: load(path.join(root, 'dist/cjs/index.js')) as Package }
}

/** Makes the timers of a realm stand still, as Jest's `useFakeTimers` does. */
function stopTimers({ globals }: Realm): void {
  const never = (): object => ({ unref: () => {} })
  Object.assign(globals, { setTimeout: never, setImmediate: never, queueMicrotask: never })
  Object.assign(globals['process'] as object, { nextTick: never })
}

/** A timer that stands still, as @sinonjs/fake-timers makes it for Jest, Vitest and Sinon. */
function fake<Timer>(name: string, real: Timer): Timer {
  return Object.assign(() => {}, { clock: { [`_${name}`]: real } }) as Timer
}

const echo: RequestListener = (req, res) => req.pipe(res)

function send(url: string, method: string, body = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = body === '' ? {} : { 'Content-Length': body.length }
    request(url, { method, headers, agent: false }, (res) => {
      res
        .toArray()
        .then(
          (chunks) => resolve(`${res.statusCode} ${Buffer.concat(chunks as Buffer[]).toString()}`),
          reject,
        )
    })
      .on('error', reject)
      .end(body)
  })
}

const answerCode: express.ErrorRequestHandler = (error: { code?: string }, _req, res, next) =>
  res.headersSent ? next(error) : res.end(String(error.code))

function withoutComments(source: string): string {
  return source.replaceAll(/\/\*.*?\*\/|\/\/.*$/gms, '')
}

describe('the package in another realm', () => {
  afterEach(closeServers)

  it('serves one request after the other while its timers stand still', async () => {
    const realm = newRealm()
    const { maxBytes, bodyCache, autoFlush, passthroughProxy: proxy } = realm.sluiceway
    const upstream = await serve(echo)
    const app = express().use(maxBytes('1mb'), bodyCache(), autoFlush(), proxy(upstream.url))
    const { url } = await serve(app)
    stopTimers(realm)
    for (const [method, body] of [['GET'], ['GET'], ['POST', 'one'], ['PUT', 'two']] as const) {
      expect(await send(url, method, body)).to.equal(`200 ${body ?? ''}`)
    }
    expect(upstream.connections).to.have.length(1)
  })

  it('serves requests if its timers stood still when it was loaded', async () => {
    const { nextTick } = process // oxlint-disable-line typescript/unbound-method -- it does not use `this`
    const globals = { queueMicrotask: fake('queueMicrotask', queueMicrotask) }
    const { sluiceway } = newRealm(globals, { nextTick: fake('nextTick', nextTick) })
    const { url: target } = await serve(echo)
    const { url } = await serve(express().use(sluiceway.bodyCache(), sluiceway.passthroughProxy(target)))
    for (const body of ['one', 'two']) expect(await send(url, 'POST', body)).to.equal(`200 ${body}`)
  })

  it('runs with the timers of a browser, which are numbers', async () => {
    const { sluiceway } = newRealm({ setTimeout: () => 1 })
    const { url: target } = await serve(echo)
    const { url } = await serve(express().use(sluiceway.passthroughProxy(target), answerCode))
    expect(await send(url, 'POST', 'body')).to.equal('200 body')
  })

  it('knows an error of Node, which is not of its own class', async () => {
    const { sluiceway } = newRealm()
    const { url: target } = await serve(echo)
    const onResponse = ({ headers }: { headers: Map<string, string> | object }): void => {
      ;(headers as Map<string, string>).set('X-Broken', 'a\nb')
    }
    const { url } = await serve(express().use(sluiceway.passthroughProxy(target, { onResponse }), answerCode))
    expect(await send(url, 'GET')).to.equal('200 ERR_SLUICEWAY_PROXY_HOOK')
  })

  it('takes a URL that is not of its own class', async () => {
    const { sluiceway } = newRealm({ URL: Map })
    const target = new URL((await serve(echo)).url)
    const { url } = await serve(express().use(sluiceway.passthroughProxy(target), answerCode))
    expect(await send(url, 'POST', 'body')).to.equal('200 body')
  })

  for (const made of ['new Uint8Array([104, 105])', 'new Uint8Array([104, 105]).buffer']) {
    it(`takes ${made} of another realm for bytes`, async () => {
      const bytes = vm.runInNewContext(made) as Uint8Array
      const { url: target } = await serve(echo)
      const proxy = passthroughProxy(target, { onResponse: (incoming) => incoming.replace(bytes) })
      const { url } = await serve(express().use(proxy, answerCode))
      expect(await send(url, 'GET')).to.equal('200 hi')
    })
  }

  it('takes its timers from one place', () => {
    const files = readdirSync(path.join(root, 'lib'), { recursive: true, encoding: 'utf8' })
    const sources = files.filter((file) => file.endsWith('.ts') && path.basename(file) !== 'timers.ts')
    const uses =
      /(?<!timers\s*\.)\b(?:(?:set|clear)(?:Timeout|Immediate|Interval)|nextTick|queueMicrotask)\(|performance\.now/g
    const found = sources.flatMap(
      (file) =>
        withoutComments(readFileSync(path.join(root, 'lib', file), 'utf8'))
          .replaceAll(/'[^'\n]*'/g, "''") // a message may show a timer of the application
          .match(uses)
          ?.map((use) => `${file}: ${use}`) ?? [],
    )
    expect(found).to.deep.equal([])
  })
})
