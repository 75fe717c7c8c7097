import { EventEmitter, once } from 'node:events'
import { createReadStream } from 'node:fs'
import { PassThrough, Readable } from 'node:stream'
import { expect } from 'chai'
import type { OutgoingRequest, PassthroughProxyOptions } from 'sluiceway'
import { withEntry } from '../../support/error-entry.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { answer, type ScriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers } from '../../support/servers/servers.js'
import { happened } from '../../support/time/waiting.js'
import { type Given, giveEach } from '../watched.js'

function setBody(outgoing: OutgoingRequest, body: OutgoingRequest['body'], length: number): void {
  outgoing.body = body
  outgoing.headers.set('Content-Length', String(length))
}

async function* failing(): AsyncGenerator<Buffer> {
  yield Buffer.from('half')
  await Promise.resolve()
  throw new Error('no more')
}

for (const { name, express } of expressVersions) {
  describe(`passthroughProxy, the body that onRequest gives a request (${name})`, () => {
    let upstream: ScriptedUpstream
    let errors: Given['errors']
    let client: Given['client']

    giveEach(express, (given) => ({ upstream, errors, client } = given))

    for (const [what, body, expected] of [
      ['a string', 'n\u00e4her', /content-length: 6\r\n\r\nn\u00c3\u00a4her$/],
      ['a Buffer', Buffer.from('bytes'), /content-length: 5\r\n\r\nbytes$/],
      ['a stream', new Blob(['stream']), /transfer-encoding: chunked\r\n\r\n6\r\nstream\r\n0\r\n\r\n$/],
    ] as const) {
      it(`onRequest replaces the body with ${what}`, async () => {
        const sender = await client({
          onRequest(outgoing) {
            outgoing.body = body instanceof Blob ? Readable.from([Buffer.from('stream')]) : body
          },
        })
        sender.request('POST', '/', {}, 'the client had this to say')
        const connection = await upstream.connection()
        const seen = await connection.until((bytes) => expected.exec(bytes.toString('latin1'))?.input)
        expect(seen).not.to.contain('had this to say')
        connection.write(answer())
        expect((await sender.response()).status).to.equal(200)
      })
    }

    for (const [what, change, framing] of [
      ['drops the body and keeps its type', (o) => void (o.body = null), /content-length: 0\r\n\r\n$/i],
      ['gives the length of its string', (o) => setBody(o, 'four', 4), /content-length: 4\r\n\r\nfour$/i],
      [
        'gives the length of its stream',
        (o) => setBody(o, Readable.from([Buffer.from('four')]), 4),
        /content-length: 4\r\n\r\nfour$/i,
      ],
      ['gives a length without a body', (o) => setBody(o, null, 5), /content-length: 0\r\n\r\n$/i],
      [
        'gives a body to a GET',
        (o) => {
          o.method = 'GET'
          o.body = 'four'
        },
        /content-length: 4\r\n\r\nfour$/i,
      ],
    ] as [string, NonNullable<PassthroughProxyOptions['onRequest']>, RegExp][]) {
      it(`the framing follows from the body where onRequest ${what}`, async () => {
        const sender = await client({ onRequest: change })
        sender.request('POST', '/', {}, 'the body of the client')
        const connection = await upstream.connection()
        const seen = await connection.until((bytes) => framing.exec(bytes.toString('latin1'))?.input)
        expect(seen.match(/content-length|transfer-encoding/gi)).to.have.length(1)
        connection.write(answer())
        expect((await sender.response()).status).to.equal(200)
      })
    }

    for (const [what, text, length] of [
      ['shorter', 'four', 5],
      ['longer', 'four', 3],
    ] as const) {
      it(`answers 500 where the stream of onRequest is ${what} than its length, and the upstream sees no whole request`, async () => {
        const sender = await client({
          onRequest: (o) => setBody(o, Readable.from([Buffer.from(text)]), length),
        })
        sender.request('POST', '/', {}, 'body')
        expect((await sender.response()).status).to.equal(500)
        expect(errors[0]).to.have.property('code', 'ERR_SLUICEWAY_PROXY_HOOK')
        const connection = await upstream.connection()
        await connection.closed()
        const [head, body = ''] = connection.pending.toString().split('\r\n\r\n')
        expect(head === '' || body.length < length).to.equal(true)
      })
    }

    it('answers 500 if onRequest gives its string another length, and sends no byte', async () => {
      const sender = await client({ onRequest: (outgoing) => setBody(outgoing, 'four', 5) })
      sender.request('POST', '/', {}, 'body')
      expect((await sender.response()).status).to.equal(500)
      expect(errors[0]).to.have.property('code', 'ERR_SLUICEWAY_PROXY_HOOK')
      await closeServers()
      if (upstream.accepted > 0) expect((await upstream.connection()).pending.length).to.equal(0)
    })

    it('a stream of onRequest that fails is an error, and the upstream sees no whole request', async () => {
      const sender = await client({
        onRequest(outgoing) {
          outgoing.body = Readable.from(failing())
        },
      })
      sender.request('POST', '/', {}, 'body')
      expect((await sender.response()).status).to.equal(500)
      expect(errors[0]).to.include({
        code: 'ERR_SLUICEWAY_PROXY_HOOK',
        message: withEntry('passthroughProxy: the body from onRequest failed', 'ERR_SLUICEWAY_PROXY_HOOK'),
      })
      const connection = await upstream.connection()
      await connection.closed()
      expect(connection.pending.toString()).not.to.contain('0\r\n\r\n')
    })

    it('a stream of onRequest that fails before it is asked for is an error too, and ends nothing else', async () => {
      const sender = await client({
        onRequest(outgoing) {
          outgoing.body = createReadStream('/no/such/file')
        },
      })
      sender.request('POST', '/', {}, 'body')
      expect((await sender.response()).status).to.equal(500)
      expect(errors[0]).to.include({ code: 'ERR_SLUICEWAY_PROXY_HOOK' })
      expect(errors[0]?.cause).to.have.property('code', 'ENOENT')
    })

    it('a stream of onRequest is released if its client has left by then', async () => {
      const body = new PassThrough()
      const asked = new EventEmitter()
      const sender = await client({
        async onRequest(outgoing, req) {
          const closed = once(req.socket, 'close')
          asked.emit('asked')
          await closed
          outgoing.body = body
        },
      })
      sender.request('POST', '/', {}, 'body')
      await happened('onRequest', asked, 'asked')
      sender.destroy()
      await happened('the stream of onRequest', body, 'close')
    })
  })
}
