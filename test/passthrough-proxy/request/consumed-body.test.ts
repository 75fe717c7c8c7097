import { PassThrough } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { expect } from 'chai'
import multer from 'multer'
import { bodyCache, passthroughProxy, type SluicewayError } from 'sluiceway'
import { RawClient } from '../../support/clients/raw-client.js'
import { withEntry } from '../../support/error-entry.js'
import { expressFor, type Express } from '../../support/express/express-versions.js'
import { hosts, type Handler } from '../../support/express/hosts.js'
import { answer, scriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, serve } from '../../support/servers/servers.js'
import { transport } from '../../support/undici/transports.js'

const form = '--edge\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--edge--\r\n'

/** How an empty body in chunks is sent. */
const EMPTY =
  transport === 'built-in' ? 'transfer-encoding: chunked\r\n\r\n0\r\n\r\n' : 'content-length: 0\r\n\r\n'

function parsersOf(express: Express): Record<string, { parser: Handler; type: string; body: string }> {
  return {
    'express.json': { parser: express.json(), type: 'application/json', body: '{"a":1}' },
    'express.urlencoded': {
      parser: express.urlencoded({ extended: false }),
      type: 'application/x-www-form-urlencoded',
      body: 'a=1',
    },
    'express.text': { parser: express.text(), type: 'text/plain', body: 'text' },
    'express.raw': { parser: express.raw(), type: 'application/octet-stream', body: 'bytes' },
    multer: { parser: multer().none() as Handler, type: 'multipart/form-data; boundary=edge', body: form },
  }
}

for (const { name, mount } of hosts) {
  const express = expressFor(name)

  describe(`passthroughProxy behind a body parser (${name})`, () => {
    afterEach(closeServers)

    for (const [reader, { parser, type, body }] of Object.entries(parsersOf(express))) {
      for (const framing of ['Content-Length', 'chunks'] as const) {
        it(`at once refuses a body with ${framing} that ${reader} has read, and says what to do`, async () => {
          const upstream = await scriptedUpstream()
          const errors: SluicewayError[] = []
          const proxy = passthroughProxy(upstream.url)
          const app = mount(parser, (req, res, next) =>
            proxy(req, res, (error) => {
              errors.push(error as SluicewayError)
              next(error)
            }),
          )
          const client = await RawClient.connect((await serve(app)).port)
          const parts = framing === 'chunks' ? [body.slice(0, 2), body.slice(2)] : body
          client.request('POST', '/', { 'Content-Type': type }, parts)
          expect((await client.response()).status).to.equal(500)
          expect(errors).to.have.length(1)
          expect(errors[0]).to.include({
            code: 'ERR_SLUICEWAY_BODY_ALREADY_READ',
            status: 500,
            message: withEntry(
              'passthroughProxy: the request body was already read by another middleware; mount bodyCache() before it',
              'ERR_SLUICEWAY_BODY_ALREADY_READ',
            ),
          })
          expect(upstream.accepted).to.equal(0)
        })
      }
    }

    for (const [reader, { parser, type, body }] of Object.entries(parsersOf(express))) {
      if (reader === 'multer') continue // an empty form is an error
      it(`passes on an empty body with chunks that ${reader} has read, as none of it is lost`, async () => {
        const upstream = await scriptedUpstream()
        const { port } = await serve(mount(parser, passthroughProxy(upstream.url)))
        const client = await RawClient.connect(port)
        client.request('POST', '/1', { 'Content-Type': type }, [])
        const connection = await upstream.connection()
        await connection.untilText(EMPTY)
        connection.write(answer())
        expect((await client.response()).status).to.equal(200)
        client.request('POST', '/2', { 'Content-Type': type }, [body])
        expect((await client.response()).status).to.equal(500)
      })
    }

    for (const length of [10, 300_000]) {
      it(`passes on ${length} bytes of bodyCache after a pipe was destroyed in the middle`, async () => {
        const upstream = await serve(
          (req, res) => void buffer(req).then((body) => res.end(String(body.length))),
        )
        const pipe: Handler = (req, _res, next) => {
          const destination = req.pipe(new PassThrough())
          destination.once('data', () => destination.destroy()).once('close', () => setImmediate(next))
        }
        const { port } = await serve(mount(bodyCache(), pipe, passthroughProxy(upstream.url)))
        const client = await RawClient.connect(port)
        client.request('POST', '/', {}, Buffer.alloc(length))
        expect((await client.response()).body.toString()).to.equal(String(length))
      })
    }

    it('passes on a body that the parsers did not read', async () => {
      const upstream = await scriptedUpstream()
      const unread: Handler[] = [express.json(), express.urlencoded({ extended: false }), express.text()]
      const { port } = await serve(mount(...unread, passthroughProxy(upstream.url)))
      const client = await RawClient.connect(port)
      client.request('POST', '/', { 'Content-Type': 'multipart/form-data; boundary=edge' }, form)
      const connection = await upstream.connection()
      await connection.untilText(`\r\n\r\n${form}`)
      connection.write(answer())
      expect((await client.response()).status).to.equal(200)
      client.request('GET', '/')
      await connection.untilText('\r\n\r\n')
      connection.write(answer())
      expect((await client.response()).status).to.equal(200)
    })
  })
}
