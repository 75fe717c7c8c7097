import { expect } from 'chai'
import type { IncomingResponse, PassthroughProxyOptions, SluicewayError } from 'sluiceway'
import type { RawClient } from '../../support/clients/raw-client.js'
import { withEntry } from '../../support/error-entry.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { answer, type ScriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { transport } from '../../support/undici/transports.js'
import { type Given, giveEach } from '../watched.js'

function fails(): never {
  throw new Error('the cause')
}

for (const { name, express } of expressVersions) {
  describe(`passthroughProxy hooks (${name})`, () => {
    let upstream: ScriptedUpstream
    let errors: Given['errors']
    let client: Given['client']
    let kept: RawClient | undefined

    giveEach(express, (given) => ({ upstream, errors, client } = given))

    for (const [from, to, length] of [
      ['304 Not Modified', 200, undefined],
      ['200 OK', 204, undefined],
      ['200 OK', 304, '5'],
    ] as const) {
      it(`onResponse makes ${to} of ${from}, and the next answer is in its place`, async () => {
        const sender = await client({
          onResponse(incoming) {
            incoming.statusCode = to
          },
        })
        for (let n = 0; n < 2; n++) {
          sender.request('GET', '/')
          // undici ends the connection after a 304 with a length.
          const isKept = n > 0 && (transport === 'built-in' || from === '200 OK')
          kept = isKept ? kept : await upstream.connectionWith('GET ')
          await kept?.untilText('\r\n\r\n')
          kept?.write(`HTTP/1.1 ${from}\r\nContent-Length: 5\r\n\r\n${from === '200 OK' ? 'hello' : ''}`)
          const { status, headers } = await sender.response()
          expect(status).to.equal(to)
          expect(headers['content-length']?.[0]).to.equal(length)
        }
        expect(sender.pending.length).to.equal(0)
      })
    }

    for (const to of [204, 304]) {
      it(`onResponse makes ${to} of an answer in chunks that announces trailers`, async () => {
        const sender = await client({ onResponse: (incoming) => void (incoming.statusCode = to) })
        sender.request('GET', '/')
        const connection = await upstream.connection()
        await connection.untilText('\r\n\r\n')
        connection.write(
          'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n',
        )
        const { status, headers } = await sender.response()
        expect([status, headers['trailer']]).to.deep.equal([to, undefined])
      })
    }

    for (const value of [undefined, null, ['a=1', 'b=2']]) {
      it(`onResponse fails if headers.set gets ${JSON.stringify(value)}`, async () => {
        const sender = await client({
          onResponse: ({ headers }) => headers.set('Set-Cookie', value as never),
        })
        sender.request('GET', '/')
        const connection = await upstream.connection()
        await connection.untilText('\r\n\r\n')
        connection.write(answer())
        expect((await sender.response()).status).to.equal(500)
        expect((errors[0] as SluicewayError).cause)
          .to.have.property('message')
          .that.matches(/^headers: the value of "Set-Cookie" must be a string/)
      })
    }

    it('onResponse drops Content-Length, and the body comes in chunks', async () => {
      const sender = await client({ onResponse: ({ headers }) => headers.delete('content-length') })
      sender.request('GET', '/')
      const connection = await upstream.connection()
      connection.write(answer('hello'))
      const { headers, body } = await sender.response()
      expect(headers['transfer-encoding']).to.deep.equal(['chunked'])
      expect(body.toString()).to.equal('hello')
    })

    it('onResponse sets no reason with CR LF: the usual one takes its place', async () => {
      const sender = await client({
        onResponse(incoming) {
          incoming.statusMessage = 'Fine\r\nX-Smuggled: 1'
        },
      })
      sender.request('GET', '/')
      ;(await upstream.connection()).write(answer())
      const { head } = await sender.response()
      expect(head).to.match(/^HTTP\/1\.1 200 OK\r\n/)
      expect(head).not.to.contain('Smuggled')
    })

    it('onResponse may answer itself, and the upstream is left', async () => {
      const sender = await client({
        onResponse(_incoming, _req, res) {
          res.statusCode = 299
          res.end('mine')
        },
      })
      sender.request('GET', '/')
      const connection = await upstream.connection()
      connection.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n')
      const response = await sender.response()
      expect(response).to.include({ status: 299 })
      expect(response.body.toString()).to.equal('mine')
      await connection.closed()
      expect(errors).to.have.length(0)
    })

    it('onResponse changes status, reason and headers', async () => {
      const sender = await client({
        onResponse(incoming, req, res) {
          expect(req.url).to.equal('/')
          expect(res.headersSent).to.equal(false)
          incoming.statusCode = 203
          incoming.statusMessage = 'Changed'
          incoming.headers.delete('server')
          incoming.headers.append('Set-Cookie', 'b=2')
        },
      })
      sender.request('GET', '/')
      const connection = await upstream.connection()
      connection.write(answer('ok', 'Server: x\r\nSet-Cookie: a=1\r\n'))
      const { head, headers, body } = await sender.response()
      expect(head).to.match(/^HTTP\/1\.1 203 Changed\r\n/)
      expect(headers).not.to.have.property('server')
      expect(headers['set-cookie']).to.deep.equal(['a=1', 'b=2'])
      expect(body.toString()).to.equal('ok')
    })

    for (const [what, onResponse] of [
      [
        'throws',
        () => {
          throw new Error('secret')
        },
      ],
      [
        'rejects',
        async () => {
          throw new Error('secret')
        },
      ],
      ['sets CR LF in a value', (i) => i.headers.set('X', 'a\r\nX-Smuggled: 1')],
      ['sets LF alone in a value', (i) => i.headers.set('X', 'a\nX-Smuggled: 1')],
      ['sets NUL in a value', (i) => i.headers.set('X', 'a\0X-Smuggled')],
      ['sets CR LF in a name', (i) => i.headers.set('X: 1\r\nX-Smuggled', 'a')],
      ['sets Transfer-Encoding', (i) => i.headers.set('Transfer-Encoding', 'chunked')],
      ['sets another Content-Length', (i) => i.headers.set('Content-Length', '3')],
      ['sets a second Content-Length', (i) => i.headers.append('Content-Length', '5')],
      ...[7, 101, 103, 1000, Number.NaN].map((status) => [
        `sets the status ${status}`,
        (i: IncomingResponse) => {
          i.statusCode = status
        },
      ]),
    ] as [string, NonNullable<PassthroughProxyOptions['onResponse']>][]) {
      it(`answers with an error where onResponse ${what}, and leaves the upstream`, async () => {
        const sender = await client({ onResponse })
        sender.request('GET', '/')
        const connection = await upstream.connection()
        connection.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n')
        const response = await sender.response()
        expect(response.status).to.equal(500)
        expect(response.head + response.body.toString()).not.to.match(/secret|X-Smuggled/)
        expect(errors).to.have.length(1)
        expect(errors[0]).to.have.property('code', 'ERR_SLUICEWAY_PROXY_HOOK')
        await connection.closed()
      })
    }

    for (const [what, options, cause] of [
      ['throws', { onResponse: fails }, 'the cause'],
      ['rejects', { onResponse: () => Promise.reject(new Error('the cause')) }, 'the cause'],
      [
        'gives an interim status',
        { onResponse: (i) => void (i.statusCode = 103) },
        'statusCode must be 200 or more, got 103',
      ],
      [
        'frames',
        { onResponse: (i) => i.headers.set('Transfer-Encoding', 'chunked') },
        'Transfer-Encoding is not for a hook to set',
      ],
      [
        'gives two lengths',
        { onResponse: (i) => i.headers.append('Content-Length', '5') },
        'Content-Length may be deleted, but not set to 2, 5',
      ],
    ] as [string, PassthroughProxyOptions, string][]) {
      it(`tells the app why: onResponse ${what}`, async () => {
        const sender = await client(options)
        sender.request('GET', '/')
        ;(await upstream.connection()).write(answer())
        expect((await sender.response()).status).to.equal(500)
        const message = withEntry('passthroughProxy: onResponse failed', 'ERR_SLUICEWAY_PROXY_HOOK')
        expect(errors[0]).to.include({ message })
        expect(errors[0]?.cause).to.include({ message: cause })
      })
    }
  })
}
