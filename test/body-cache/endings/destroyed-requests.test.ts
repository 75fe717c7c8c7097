import type { IncomingMessage, ServerResponse } from 'node:http'
import { expect } from 'chai'
import express from 'express'
import { bodyCache } from 'sluiceway/body-cache'
import { RawClient } from '../../support/clients/raw-client.js'
import { type Handler, hosts } from '../../support/express/hosts.js'
import { closeServers, serve } from '../../support/servers/servers.js'
import { deferred } from '../../support/time/deferred.js'
import { until } from '../../support/time/until.js'
import { waitFor } from '../../support/time/waiting.js'

const LENGTH = 1000

/** The readers that an application may start before it destroys a request. */
const readings: Record<string, (req: IncomingMessage) => Promise<unknown>> = {
  'before it reads it': async () => {},
  'while it listens to it': async (req) => req.on('data', () => {}),
  'while express.json() reads it': async (req) => {
    req.headers['content-type'] = 'application/json'
    express.json()(req, {} as never, () => {})
  },
  'once it has come whole': async (req) => until(() => req.complete),
  'once it has read it': async (req) => {
    req.resume()
    await until(() => req.readableEnded || req.complete)
    await new Promise(setImmediate)
  },
}

const destroying: Record<string, (req: IncomingMessage) => unknown> = {
  'without an error': (req) => req.destroy(),
  'with an error': (req) => req.destroy(new Error('too slow')),
  'with an error that it hears': (req) => req.on('error', () => {}).destroy(new Error('too slow')),
  'with a listener for errors': (req) => req.on('error', () => {}).destroy(),
  'with its socket': (req) => req.socket.destroy(),
}

/** The outcome for the client and the application, with and without bodyCache. */
interface Noticed {
  readonly connection: 'answered' | 'closed'
  readonly closes: number
  readonly aborts: number
}

for (const { name, mount } of hosts) {
  describe(`a request that the application destroys, on ${name}`, () => {
    afterEach(closeServers)

    it('does not end the process with its error when it is read afterwards, behind another response', async () => {
      const listening = deferred<number>()
      const destroy: Handler = (req, res) => {
        if (req.method === 'GET') return res.write('held')
        req.once('data', () => {})
        req.on('error', () => {}).destroy(new Error('too slow'))
        req.on('data', () => {})
        return req.socket.on('close', () => setImmediate(listening.resolve, req.listenerCount('error')))
      }
      const { port } = await serve(mount(bodyCache(), destroy))
      const client = await RawClient.connect(port)
      client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
      client.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${LENGTH}\r\n\r\n`)
      await client.closed()
      // What has no listener ends the process: no-mishaps notices.
      await waitFor('the server to see the connection closed', listening.promise)
      await new Promise(setImmediate)
    })

    async function notice(before: readonly Handler[], run: Handler, sent: number): Promise<Noticed> {
      let closes = 0
      let aborts = 0
      const count: Handler = (req, _res, next) => {
        req.on('close', () => (closes += 1)).on('aborted', () => (aborts += 1))
        next()
      }
      const { port, connections } = await serve(mount(...before, count, run))
      const client = await RawClient.connect(port)
      client.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${LENGTH}\r\n\r\n`, Buffer.alloc(sent, '1'))
      const connection = await client.response().then(
        () => 'answered' as const,
        () => 'closed' as const,
      )
      client.destroy()
      await until(() => connections.every((socket) => socket.closed) && closes > 0)
      for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate)
      return { connection, closes, aborts }
    }

    for (const [when, read] of Object.entries(readings)) {
      for (const [how, destroy] of Object.entries(destroying)) {
        for (const sent of [LENGTH, 100]) {
          if (sent < LENGTH && when.startsWith('once')) continue
          it(`ends as without bodyCache, ${when}, ${how}, ${sent} of ${LENGTH} bytes sent`, async () => {
            const run: Handler = async (req, res: ServerResponse) => {
              await read(req)
              destroy(req)
              if (!res.destroyed) res.end('answered')
            }
            const expected = await notice([], run, sent)
            const noticed = await notice([bodyCache()], run, sent)
            expect(noticed.connection).to.equal(expected.connection)
            expect(noticed.closes, "'close' is emitted once").to.equal(1)
            if (sent < LENGTH) expect(noticed.aborts).to.equal(expected.aborts)
          })
        }
      }
    }

    for (const [how, destroy] of Object.entries(destroying)) {
      if (how === 'with its socket') continue
      it(`keeps the connection for the next request if its body was discarded after the answer, ${how}`, async () => {
        let first: IncomingMessage | undefined
        const destroyFirst: Handler = (req, res) => {
          if (first !== undefined) destroy(first)
          first ??= req
          res.end('answered')
        }
        const { port, connections } = await serve(mount(bodyCache(), destroyFirst))
        const client = await RawClient.connect(port)
        client.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${LENGTH}\r\n\r\n`, Buffer.alloc(LENGTH))
        await client.response()
        for (let round = 0; round < 2; round += 1) {
          client.request('GET', '/')
          expect(String((await client.response()).body)).to.equal('answered')
        }
        expect(connections).to.have.length(1)
        client.destroy()
      })
    }

    it("emits 'close' once even if a reader begins after the client has left", async () => {
      let closes = 0
      let late: unknown
      const run: Handler = (req) => {
        req.on('close', () => {
          closes += 1
          if (closes === 1)
            setImmediate(() => req.on('error', (error) => (late = error)).on('data', () => {}))
        })
      }
      const { port, connections } = await serve(mount(bodyCache(), run))
      const client = await RawClient.connect(port)
      client.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${LENGTH}\r\n\r\n1`)
      await until(() => connections.length > 0 && connections[0]!.bytesRead > 40)
      client.destroy()
      await until(() => late !== undefined)
      for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate)
      expect(closes).to.equal(1)
      expect(late).to.include({ code: 'ERR_SLUICEWAY_BODY_ABORTED' })
    })
  })
}
