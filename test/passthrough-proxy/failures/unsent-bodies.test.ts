import type { IncomingMessage } from 'node:http'
import http2 from 'node:http2'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import express from 'express'
import { bodyCache, maxBytes, passthroughProxy, type PassthroughProxyOptions } from 'sluiceway'
import { RawClient } from '../../support/clients/raw-client.js'
import { type Handler, hosts } from '../../support/express/hosts.js'
import { closeServers, listen, serve } from '../../support/servers/servers.js'
import { undiciVersions, type ClosableDispatcher } from '../../support/undici/undici-versions.js'
import { deadTargets, type Echo, echoingUpstream, REFUSING } from '../targets/dead-targets.js'

const agents: ClosableDispatcher[] = []

const transports: Record<string, () => Promise<PassthroughProxyOptions>> = {
  'the built-in client': async () => ({}),
}
for (const [name, load] of undiciVersions) {
  transports[name] = async () => {
    const { Agent } = await load()
    const dispatcher = new Agent()
    agents.push(dispatcher)
    return { dispatcher }
  }
}

/** Code that handles the error of a request that was not sent, and answers with its body. */
const handlers: Record<string, (upstream: string) => Handler> = {
  'reads it': () => async (req, res) => res.end(await text(req)),
  'reads it by events': () => (req, res) => {
    let body = ''
    req.on('data', (chunk: Buffer) => (body += chunk.toString()))
    req.on('end', () => res.end(body))
  },
  'reads it when it is readable': () => (req, res) => {
    let body = ''
    req.on('readable', () => {
      for (let chunk: Buffer | null; (chunk = req.read() as Buffer | null) !== null;) body += chunk.toString()
    })
    req.on('end', () => res.end(body))
  },
  'parses it': () => (req, res, next) => {
    express.text({ type: () => true })(req, res, (error?: unknown) => {
      if (error === undefined) res.end((req as IncomingMessage & { body?: string }).body)
      else next(error)
    })
  },
  'sends it elsewhere': (upstream) => {
    const proxy = passthroughProxy(upstream, {
      async onResponse(incoming) {
        const { body } = JSON.parse((await incoming.buffer()).toString()) as Echo
        incoming.replace(body)
      },
    })
    return (req, res, next) => proxy(req, res, next)
  },
}

const before: Record<string, Handler> = {
  nothing: (_req, _res, next) => next(),
  maxBytes: maxBytes('1mb'),
  bodyCache: bodyCache(),
}

const bodies = { small: 'a small body', large: 'large '.repeat(12_000) }

/** Calls a proxy, and hands its error to `handler`. */
function catching(proxy: Handler, handler: Handler): Handler {
  return (req, res, next) =>
    proxy(req, res, (error) => (error === undefined ? next() : handler(req, res, next)))
}

describe('the body of a request that was not sent', () => {
  afterEach(async () => {
    await closeServers()
    for (const agent of agents.splice(0)) await agent.close()
  })

  for (const { name: host, mount } of hosts) {
    for (const [transport, options] of Object.entries(transports)) {
      for (const [what, handler] of Object.entries(handlers)) {
        it(`is left to an error handler that ${what}: ${host}, ${transport}`, async () => {
          const upstream = await echoingUpstream()
          const proxy = passthroughProxy(REFUSING, await options())
          for (const front of Object.values(before)) {
            const { port } = await serve(mount(front, catching(proxy, handler(upstream.url))))
            const client = await RawClient.connect(port)
            for (const body of Object.values(bodies)) {
              client.request('POST', '/', {}, body)
              expect((await client.response()).body.toString()).to.equal(body)
            }
            client.destroy()
          }
        })
      }
    }
  }

  for (const [transport, options] of Object.entries(transports)) {
    it(`comes once to an error handler behind bodyCache if it was sent before the upstream left: ${transport}`, async () => {
      const upstream = await serve((req) => req.once('data', () => req.socket.destroy()))
      const proxy = passthroughProxy(upstream.url, await options())
      for (const handler of [handlers['reads it']!(''), handlers['reads it by events']!('')]) {
        const { port } = await serve(hosts[0]!.mount(bodyCache(), catching(proxy, handler)))
        const client = await RawClient.connect(port)
        client.request('POST', '/', {}, bodies.small)
        expect((await client.response()).body.toString()).to.equal(bodies.small)
        client.destroy()
      }
    })
  }

  // Express does not support HTTP/2 requests.
  for (const [transport, options] of Object.entries(transports)) {
    for (const [what, handler] of Object.entries(handlers)) {
      it(`is left to an error handler that ${what}: over HTTP/2, ${transport}`, async () => {
        const upstream = await echoingUpstream()
        const proxy = passthroughProxy(REFUSING, await options())
        for (const front of Object.values(before)) {
          const mounted = hosts[0]!.mount(front, catching(proxy, handler(upstream.url)))
          const { port } = await listen(http2.createServer(mounted as never) as never)
          const session = http2.connect(`http://127.0.0.1:${port}`)
          for (const body of Object.values(bodies)) {
            const stream = session.request({ ':method': 'POST', 'content-length': body.length })
            stream.end(body)
            expect(await text(stream)).to.equal(body)
          }
          session.destroy()
        }
      })
    }
  }

  for (const { name: host, mount } of hosts) {
    it(`is left to an error handler if a hook has made a request that cannot be sent: ${host}`, async () => {
      const proxy = passthroughProxy(REFUSING, {
        onRequest: ({ headers }) => headers.append('Content-Length', '1'),
      })
      const { port } = await serve(mount(catching(proxy, handlers['reads it']!(''))))
      const client = await RawClient.connect(port)
      client.request('POST', '/', {}, bodies.small)
      expect((await client.response()).body.toString()).to.equal(bodies.small)
      client.destroy()
    })
  }

  for (const [what, { start, options }] of Object.entries(deadTargets)) {
    it(`is left to an error handler if the target ${what}`, async () => {
      const proxy = passthroughProxy(await start(), options)
      const { port } = await serve(hosts[0]!.mount(catching(proxy, handlers['reads it']!(''))))
      const client = await RawClient.connect(port)
      client.request('POST', '/', {}, bodies.small)
      expect((await client.response()).body.toString()).to.equal(bodies.small)
      client.destroy()
    })
  }
})
