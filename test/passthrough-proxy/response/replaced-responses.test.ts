import { once } from 'node:events'
import { PassThrough, Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import { expect } from 'chai'
import type { ReplacementBody } from 'sluiceway'
import { asChunk } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { proxied, request } from '../../support/servers/proxied.js'
import { answer } from '../../support/servers/scripted-upstream.js'
import { closeServers } from '../../support/servers/servers.js'
import { until } from '../../support/time/until.js'
import { upperCase } from '../hook-bodies/transforms.js'

const described = [
  'ETag: "a"',
  'Last-Modified: Sat, 28 Nov 2026 10:00:00 GMT',
  'Content-Encoding: gzip',
  'Accept-Ranges: bytes',
  'Content-Digest: x',
  'Content-Type: text/plain',
  '',
].join('\r\n')

const gone = [
  'etag',
  'last-modified',
  'content-encoding',
  'accept-ranges',
  'content-digest',
  'content-range',
] as const

const webStream = (text: string): ReadableStream => new Blob([text]).stream()

for (const { name, express } of expressVersions) {
  describe(`passthroughProxy replaces the body of a response (${name})`, () => {
    afterEach(closeServers)

    for (const [what, create, length] of [
      ['a string', () => 'schön', 6],
      ['a Buffer', () => Buffer.from('schön'), 6],
      ['a Uint8Array', () => new Uint8Array(Buffer.from('schön')), 6],
      ['null', () => null, 0],
      ['an empty string', () => '', 0],
      [
        'a Readable',
        () => Readable.from([Buffer.from('sch'), Buffer.from('ön')], { objectMode: false }),
        undefined,
      ],
      ['a Readable of strings', () => Readable.from(['sch', 'ön']), undefined],
      ['a ReadableStream', () => webStream('schön'), undefined],
    ] as readonly [string, () => ReplacementBody, number | undefined][]) {
      it(`by ${what}, with the right headers, and keeps the connections`, async () => {
        const { exchange, upstream } = await proxied({
          express,
          onResponse: (incoming) => void incoming.replace(create()),
        })
        for (let n = 0; n < 2; n++) {
          const { response } = await exchange(
            request('GET', '/'),
            answer('the body of the upstream', described),
          )
          expect(response.body.toString()).to.equal(length === 0 ? '' : 'schön')
          expect(response.headers['content-length']).to.deep.equal(
            length === undefined ? undefined : [String(length)],
          )
          expect(response.headers['content-type']).to.deep.equal(['text/plain'])
          expect(response.headers).not.to.have.any.keys(...gone)
        }
        expect(upstream.accepted).to.equal(1)
      })
    }

    it('and keeps the headers that the hook sets afterwards', async () => {
      const { exchange } = await proxied({
        express,
        onResponse: (incoming) => incoming.replace('new').headers.set('ETag', '"new"'),
      })
      const { response } = await exchange(request('GET', '/'), answer('old', described))
      expect(response.headers['etag']).to.deep.equal(['"new"'])
    })

    it('of a 206, which becomes a 200', async () => {
      const { exchange } = await proxied({
        express,
        onResponse: (incoming) => void incoming.replace('whole'),
      })
      const { response } = await exchange(
        request('GET', '/', 'Range: bytes=0-1'),
        'HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-1/9\r\nContent-Length: 2\r\n\r\nab',
      )
      expect(response).to.deep.include({ status: 200, reason: 'OK', body: Buffer.from('whole') })
      expect(response.headers).not.to.have.property('content-range')
    })

    it('for a HEAD, whose length is that of the new body', async () => {
      const { exchange } = await proxied({ express, onResponse: (incoming) => void incoming.replace('new') })
      const sent = 'HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\n'
      for (let n = 0; n < 2; n++) {
        const { response } = await exchange(request('HEAD', '/'), sent)
        expect(response.headers['content-length']).to.deep.equal(['3'])
      }
    })

    it('of a 304 that becomes a 200, and of a 204 that stays one', async () => {
      for (const [sent, status, body] of [
        ['304 Not Modified', 200, 'new'],
        ['204 No Content', 204, ''],
      ] as const) {
        const { exchange } = await proxied({
          express,
          onResponse(incoming) {
            incoming.statusCode = status
            incoming.replace('new')
          },
        })
        const { response } = await exchange(request('GET', '/'), `HTTP/1.1 ${sent}\r\n\r\n`)
        expect(response.status).to.equal(status)
        expect(response.body.toString()).to.equal(body)
        expect(response.headers['content-length']).to.deep.equal(body === '' ? undefined : ['3'])
      }
    })

    it('and sends no trailers of the old body', async () => {
      const { exchange } = await proxied({
        express,
        onResponse: (incoming) => void incoming.replace(Readable.from(['new'])),
      })
      const { response } = await exchange(
        request('GET', '/'),
        'HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-Sum: 1\r\n\r\n',
      )
      expect(response.body.toString()).to.equal('new')
      expect(response.headers).not.to.have.property('trailer')
      expect(response.trailers).to.deep.equal([])
    })

    it('through transforms that follow', async () => {
      const { exchange } = await proxied({
        express,
        onResponse: (incoming) => void incoming.replace('new').pipeThrough(upperCase()),
      })
      const { response } = await exchange(request('GET', '/'), answer('old'))
      expect(response.body.toString()).to.equal('NEW')
      expect(response.headers).not.to.have.property('content-length')
    })

    it('and destroys the transforms that come before', async () => {
      const stage = upperCase()
      const { exchange } = await proxied({
        express,
        onResponse: (incoming) => void incoming.pipeThrough(stage).replace('new'),
      })
      const { response } = await exchange(request('GET', '/'), answer('old'))
      expect(response.body.toString()).to.equal('new')
      expect(stage.destroyed).to.equal(true)
    })

    it('and drops an upstream whose body does not end', async () => {
      const { client, upstream } = await proxied({
        express,
        onResponse: (incoming) => void incoming.replace(new PassThrough()),
      })
      client.request('GET', '/')
      const connection = await upstream.connection()
      connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
      const more = (): void => {
        while (!connection.socket.destroyed && connection.write(asChunk(Buffer.alloc(64 * 1024))));
      }
      connection.socket.on('drain', more)
      more()
      await connection.closed()
      connection.socket.off('drain', more)
      // The client still waits for the new body.
      expect(await client.untilText('\r\n\r\n')).to.match(/^HTTP\/1\.1 200 /)
    })

    it('and leaves the upstream when the new body has ended, whatever may follow', async () => {
      const { client, upstream } = await proxied({
        express,
        onResponse: (incoming) => void incoming.replace('new'),
      })
      client.request('GET', '/')
      const connection = await upstream.connection()
      connection.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n')
      expect((await client.response()).body.toString()).to.equal('new')
      await connection.closed()
    })

    it('sends the head of a stream that takes its time', async () => {
      const body = new PassThrough()
      const { client, upstream } = await proxied({
        express,
        onResponse: (incoming) => void incoming.replace(body),
      })
      client.request('GET', '/')
      ;(await upstream.connection()).write(answer('old'))
      await client.untilText('\r\n\r\n')
      body.end('new')
      expect((await client.chunkedBody()).toString()).to.equal('new')
    })

    it('destroys the stream when the client leaves', async () => {
      const body = new PassThrough()
      const { client, upstream } = await proxied({
        express,
        onResponse: (incoming) => void incoming.replace(body),
      })
      client.request('GET', '/')
      ;(await upstream.connection()).write(answer('old'))
      await client.untilText('\r\n\r\n')
      const closed = once(body, 'close').catch(() => [])
      client.destroy()
      await closed
      expect(body.destroyed).to.equal(true)
    })

    for (const [what, given] of [
      ['a number', 7],
      ['an object', {}],
      ['undefined', undefined],
    ] as const) {
      it(`refuses ${what}`, async () => {
        const { exchange, errors } = await proxied({
          express,
          onResponse: (incoming) => void incoming.replace(given as never),
        })
        expect((await exchange(request('GET', '/'))).response.status).to.equal(500)
        expect(String(errors[0]?.cause)).to.match(
          /^TypeError: replace takes a stream, bytes \(Buffer, Uint8Array, ArrayBuffer\), a string or null, got/,
        )
      })
    }

    it('refuses a stream that has ended before', async () => {
      const { exchange, errors } = await proxied({
        express,
        onResponse: (incoming) => void incoming.replace(new PassThrough().destroy()),
      })
      expect((await exchange(request('GET', '/'))).response.status).to.equal(500)
      expect(errors[0]?.cause).to.include({ message: 'replace got a stream that has ended before' })
    })

    for (const [what, fail, cause] of [
      ['fails', (body: PassThrough) => body.destroy(new Error('no more')), 'no more'],
      ['closes before its end', (body: PassThrough) => body.destroy(), 'a stream was closed before its end'],
      [
        'emits no bytes',
        (body: PassThrough) => body.emit('data', 7),
        'a body consists of bytes or strings, got a number',
      ],
    ] as const) {
      for (const when of ['before the head', 'after it'] as const) {
        it(`shows that a stream ${what} ${when}`, async () => {
          const body = new PassThrough()
          const { client, upstream, errors } = await proxied({
            express,
            onResponse: (incoming) => void incoming.replace(body),
          })
          client.request('GET', '/')
          ;(await upstream.connection()).write(answer('old'))
          if (when === 'after it') {
            body.write('half')
            await client.untilText('half')
          } else await until(() => body.listenerCount('data') > 0)
          fail(body)
          if (when === 'after it') await client.closed()
          else expect((await client.response()).status).to.equal(500)
          expect(errors[0]).to.include({ code: 'ERR_SLUICEWAY_PROXY_HOOK' })
          expect(errors[0]?.cause).to.include({ message: cause })
          expect(client.pending.toString().includes('0\r\n\r\n')).to.equal(false)
        })
      }
    }

    for (const [what, length, status] of [
      ['longer', '2', 'cut'],
      ['shorter', '9', 'error'],
    ] as const) {
      it(`does not send a body that is ${what} than the Content-Length that the hook has set`, async () => {
        const { client, upstream, errors } = await proxied({
          express,
          onResponse(incoming) {
            incoming.replace(what === 'shorter' ? Readable.from([]) : Readable.from(['long']))
            incoming.headers.set('Content-Length', length)
          },
        })
        client.request('GET', '/')
        ;(await upstream.connection()).write(answer('old'))
        if (status === 'cut') await client.closed()
        else expect((await client.response()).status).to.equal(500)
        expect(errors[0]?.cause).to.include({ message: `the body is ${what} than its Content-Length` })
      })
    }
  })
}
