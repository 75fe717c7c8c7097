import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { PassThrough, type Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import httpProxy from 'http-proxy'
import { bodyCache } from 'sluiceway/body-cache'
import { maxBytes } from 'sluiceway/max-bytes'
import { asChunk, RawClient } from '../support/clients/raw-client.js'
import { type Handler, hosts } from '../support/express/hosts.js'
import { closeServers, serve } from '../support/servers/servers.js'

type Listener = (...args: unknown[]) => void

/** Wraps each listener of a request, as `context.bind(req)` of OpenTelemetry and the agent of Elastic APM do. */
const trace: Handler = (req, _res, next) => {
  const wrappers = new WeakMap<Listener, Listener>()
  const methods = req as unknown as Record<string, (event: string, listener: Listener) => unknown>
  for (const name of ['on', 'addListener', 'prependListener']) {
    const add = methods[name]!
    methods[name] = (event, listener) => {
      const wrapper: Listener = (...args) => listener.apply(req, args)
      wrappers.set(listener, wrapper)
      return add.call(req, event, wrapper)
    }
  }
  for (const name of ['off', 'removeListener']) {
    const remove = methods[name]!
    methods[name] = (event, listener) => remove.call(req, event, wrappers.get(listener) ?? listener)
  }
  next()
}

/** What zone.js holds in place of a listener: it does nothing once it is removed. */
class Task {
  readonly event: string
  readonly listener: Listener
  readonly invoke: Listener
  isCancelled = false

  constructor(event: string, listener: Listener, req: IncomingMessage) {
    this.event = event
    this.listener = listener
    this.invoke = (...args) => {
      if (!this.isCancelled) listener.apply(req, args)
    }
  }
}

/** Gives a request the methods that zone.js gives to all emitters. */
const zone: Handler = (req, _res, next) => {
  const { on, off } = req as unknown as Record<'on' | 'off', (event: string, listener: Listener) => unknown>
  const tasks = new Set<Task>()
  const of = (event: string): Task[] => [...tasks].filter((task) => task.event === event)
  const cancel = (task: Task): void => {
    task.isCancelled = true
    tasks.delete(task)
    off.call(req, task.event, task.invoke)
  }
  const add = (event: string, listener: Listener): unknown => {
    const task = new Task(event, listener, req)
    tasks.add(task)
    return on.call(req, event, task.invoke)
  }
  const remove = (event: string, listener: Listener): unknown => {
    const task = of(event).find((each) => each.listener === listener)
    if (task === undefined) return off.call(req, event, listener)
    cancel(task)
    return req
  }
  Object.assign(req, {
    on: add,
    addListener: add,
    off: remove,
    removeListener: remove,
    removeAllListeners: (event: string) => {
      for (const task of of(event)) cancel(task)
      return req
    },
  })
  next()
}

/** Reads a request that it pauses after each chunk. */
async function readWithPauses(req: Readable): Promise<string> {
  let body = ''
  req.on('data', (chunk: Buffer) => {
    body += chunk.toString()
    req.pause()
    setImmediate(() => req.resume())
  })
  await once(req, 'end')
  return body
}

const BODY = 'x'.repeat(1_000_000)

for (const { name, mount } of hosts) {
  describe(`a request on ${name} whose listeners a tracer wraps`, () => {
    afterEach(closeServers)

    async function answerOf(handler: (req: IncomingMessage) => Promise<unknown>): Promise<string> {
      const { url } = await serve(
        mount(trace, bodyCache(), async (req, res) => void res.end(String(await handler(req)))),
      )
      return (await fetch(url, { method: 'POST', body: BODY })).text()
    }

    it('gets no further listener with each pause', async () => {
      const answer = await answerOf(async (req) => {
        const { length } = await readWithPauses(req)
        return `${length} ${req.listenerCount('newListener')}`
      })
      expect(answer).to.equal('1000000 1')
    })

    it('gets no further listener with each reading', async () => {
      const answer = await answerOf(async (req) => {
        for (let round = 0; round < 12; round++) await text(req.pipe(new PassThrough()))
        return ['newListener', 'end', 'resume'].map((event) => req.listenerCount(event)).join(' ')
      })
      expect(answer).to.equal('1 1 1')
    })

    it('gives both readers the whole body if the second begins later, in a zone too', async () => {
      for (const wrap of [trace, zone]) {
        const { url } = await serve(
          mount(wrap, bodyCache(), async (req, res) => {
            let first = 0
            req.on('data', (chunk: Buffer) => (first += chunk.length))
            await new Promise((resolve) => req.once('data', resolve))
            const second = await text(req.pipe(new PassThrough()))
            res.end(`${first} ${second.length}`)
          }),
        )
        const answer = await fetch(url, { method: 'POST', body: BODY })
        expect(await answer.text()).to.equal('1000000 1000000')
      }
    })

    it('does not end the process if its body is too large for http-proxy, whose listener is called twice', async () => {
      const upstream = await serve((req) => void req.resume())
      const proxy = httpProxy.createProxyServer({ target: upstream.url }).on('error', (_error, _req, res) => {
        if ('writeHead' in res) res.writeHead(502).end()
      })
      const { port, url } = await serve(mount(trace, maxBytes(1000), (req, res) => proxy.web(req, res)))
      const client = await RawClient.connect(port)
      client.write(
        'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n',
        asChunk('x'.repeat(500)),
      )
      await once(upstream.server, 'request')
      client.write(asChunk('x'.repeat(1000)))
      expect((await client.response()).status).to.equal(502)
      client.destroy()
      expect((await fetch(url, { method: 'POST', body: BODY })).status).to.equal(413)
    })
  })
}
