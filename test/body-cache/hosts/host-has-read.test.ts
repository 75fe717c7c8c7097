import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { expect } from 'chai'
import express from 'express'
import { bodyCache } from 'sluiceway/body-cache'
import { maxBytes } from 'sluiceway/max-bytes'
import { hostTurns } from '../../support/express/host-turns.js'
import { type Handler, hosts } from '../../support/express/hosts.js'
import { closeServers, serve } from '../../support/servers/servers.js'

type WithRawBody = IncomingMessage & { rawBody?: Buffer }

const readers: Readonly<Record<string, (req: IncomingMessage) => Promise<string>>> = {
  'on(data)': async (req) => {
    let read = ''
    req.on('data', (chunk: Buffer) => (read += String(chunk)))
    await once(req, 'end')
    return read
  },
  'for await': (req) => text(req),
  pipeline: async (req) => {
    const copy = new PassThrough()
    const [read] = await Promise.all([text(copy), pipeline(req, copy)])
    return read
  },
  'bodyCache.text()': (req) => req.bodyCache.text(),
}

/** Reads the body as a host such as Cloud Functions does, and continues in a later turn. */
function hostOf(turn: (next: () => void) => void, keepsRawBody: boolean): Handler {
  return (req, _res, next) => {
    const chunks: Buffer[] = []
    req.on('data', (chunk: Buffer) => chunks.push(chunk))
    req.on('end', () => {
      if (keepsRawBody) (req as WithRawBody).rawBody = Buffer.concat(chunks)
      turn(next)
    })
  }
}

const mountedBoth: Handler = (req, res, next) => {
  maxBytes(10)(req, res, (error) => {
    if (error === undefined) bodyCache()(req, res, next)
    else next(error)
  })
}

for (const { name, mount } of hosts) {
  describe(`bodyCache on ${name}, behind a host that has read the body`, () => {
    afterEach(closeServers)

    for (const [when, turn] of Object.entries(hostTurns)) {
      for (const [how, read] of Object.entries(readers)) {
        it(`gives the bytes that the host left in req.rawBody to ${how}, ${when}, twice`, async () => {
          const answer: Handler = async (req, res) => res.end(`${await read(req)}|${await read(req)}`)
          const { url } = await serve(mount(hostOf(turn, true), bodyCache(), answer))
          for (const body of ['first', 'second', '']) {
            const response = await fetch(url, { method: 'POST', body })
            expect(await response.text()).to.equal(`${body}|${body}`)
          }
        })

        it(`gives an empty body, of which nothing is lost, to ${how} without req.rawBody, ${when}`, async () => {
          const answer: Handler = async (req, res) => res.end(`${await read(req)}|${await read(req)}`)
          const { url } = await serve(mount(hostOf(turn, false), bodyCache(), answer))
          for (const body of ['', new Blob([]).stream()]) {
            const response = await fetch(url, { method: 'POST', body, duplex: 'half' })
            expect([response.status, await response.text()]).to.deep.equal([200, '|'])
          }
        })
      }

      for (const [what, limit] of [
        ['bodyCache', bodyCache()],
        ['maxBytes', maxBytes(10)],
        ['both', mountedBoth],
      ] as const) {
        it(`runs the application once, though the host's listeners stay, ${when}, behind ${what}`, async () => {
          let calls = 0
          const parse = express.json() as Handler
          const count: Handler = (_req, res) => {
            calls += 1
            setImmediate(() => res.end())
          }
          const { url } = await serve(mount(hostOf(turn, true), limit, parse, count))
          for (const body of ['', '[1]']) {
            const headers = { 'content-type': 'application/json' }
            const { status } = await fetch(url, { method: 'POST', body, headers })
            expect([status, calls], body).to.deep.equal([200, 1])
            calls = 0
          }
        })
      }

      it(`answers after the application has destroyed the request, ${when}`, async () => {
        const answer: Handler = (req, res) => {
          req.destroy()
          setImmediate(() => res.end('answered'))
        }
        const middleware = bodyCache()
        const cache: Handler = (req, res, next) => middleware(req, res, () => next())
        for (const keepsRawBody of [true, false]) {
          const { url } = await serve(mount(hostOf(turn, keepsRawBody), cache, answer))
          for (const body of ['', 'abc']) {
            const response = await fetch(url, { method: 'POST', body })
            expect(await response.text()).to.equal('answered')
          }
        }
      })

      it(`emits 'close' once for a response that waits for it, ${when}`, async () => {
        let closes = 0
        const early: Handler = (req, _res, next) => {
          req.on('close', () => (closes += 1))
          next()
        }
        const answer: Handler = async (req, res) => {
          await once(req, 'close')
          res.end(await text(req))
        }
        const { url } = await serve(mount(early, hostOf(turn, true), bodyCache(), answer))
        const response = await fetch(url, { method: 'POST', body: 'abc' })
        expect([await response.text(), closes]).to.deep.equal(['abc', 1])
      })

      it(`gives each reader a clear error without req.rawBody, ${when}`, async () => {
        const answer: Handler = async (req, res) => {
          const codes = []
          for (const read of Object.values(readers)) {
            codes.push(await read(req).catch(({ code }: { code: string }) => code))
          }
          res.statusCode = 418
          res.end(codes.join(' '))
        }
        const middleware = bodyCache()
        const { url } = await serve(
          mount(hostOf(turn, false), (req, res, next) => middleware(req, res, () => next()), answer),
        )
        const response = await fetch(url, { method: 'POST', body: 'abc' })
        const codes = Object.keys(readers).map(() => 'ERR_SLUICEWAY_BODY_ALREADY_READ')
        expect([response.status, await response.text()]).to.deep.equal([418, codes.join(' ')])
      })
    }
  })
}
