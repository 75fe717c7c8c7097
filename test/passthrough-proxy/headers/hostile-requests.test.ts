import { expect } from 'chai'
import { RawClient } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { proxied, request } from '../../support/servers/proxied.js'
import { answer } from '../../support/servers/scripted-upstream.js'
import { closeServers } from '../../support/servers/servers.js'
import { needsOwnClient } from '../../support/undici/transports.js'

const CHUNKS = '5\r\nhello\r\n0\r\n\r\n'

for (const { name, express } of expressVersions) {
  describe(`passthroughProxy and hostile messages of a client (${name})`, () => {
    afterEach(closeServers)

    for (const [what, raw] of [
      [
        'Transfer-Encoding beside Content-Length',
        `Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n${CHUNKS}`,
      ],
      [
        'Content-Length beside Transfer-Encoding',
        `Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKS}`,
      ],
      ['two lengths', 'Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!'],
      ['the same length twice', 'Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello'],
      ['a list of lengths', 'Content-Length: 5, 5\r\n\r\nhello'],
      ['a length with a sign', 'Content-Length: +5\r\n\r\nhello'],
      ['a length in hex', 'Content-Length: 0x5\r\n\r\nhello'],
      ['a negative length', 'Content-Length: -5\r\n\r\nhello'],
      ['gzip for a coding', `Transfer-Encoding: gzip\r\n\r\n${CHUNKS}`],
      ['gzip before chunked', `Transfer-Encoding: gzip, chunked\r\n\r\n${CHUNKS}`],
      ['chunked before identity', `Transfer-Encoding: chunked, identity\r\n\r\n${CHUNKS}`],
      ['chunked twice', `Transfer-Encoding: chunked, chunked\r\n\r\n${CHUNKS}`],
      ['two codings in two lines', `Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKS}`],
      ['xchunked', `Transfer-Encoding: xchunked\r\n\r\n${CHUNKS}`],
      ['a vertical tab before chunked', `Transfer-Encoding: \x0bchunked\r\n\r\n${CHUNKS}`],
      // tinyproxy#623
      ['a space before the colon of a length', 'Content-Length : 5\r\n\r\nhello'],
      ['a space before the colon of a coding', `Transfer-Encoding : chunked\r\n\r\n${CHUNKS}`],
      ['a folded coding', `Transfer-Encoding:\r\n chunked\r\n\r\n${CHUNKS}`],
      ['a folded line', 'X-Folded: a\r\n Content-Length: 5\r\n\r\nhello'],
      ['LF alone between lines', 'X-A: 1\nContent-Length: 5\r\n\r\nhello'],
      ['CR alone in a value', 'X-A: 1\rContent-Length: 5\r\n\r\nhello'],
      ['NUL in a value', 'X-A: a\0b\r\n\r\n'],
      ['NUL in a name', 'X\0A: a\r\n\r\n'],
      ['an empty name', ': a\r\n\r\n'],
      ['a line without a colon', 'X-A\r\n\r\n'],
      // Kept as a number it goes on as 18446744073709552000.
      ['a length past 2^53', 'Content-Length: 18446744073709551615\r\n\r\nhello'],
      ['a length just past 2^53', 'Content-Length: 9007199254740993\r\n\r\nhello'],
    ] as const) {
      it(`are refused with ${what}, and the upstream gets no request`, async () => {
        const { client, upstream } = await proxied({ express })
        client.write(`POST / HTTP/1.1\r\nHost: test\r\n${raw}`)
        expect((await client.response()).status).to.equal(400)
        expect(upstream.accepted).to.equal(0)
      })
    }

    for (const [what, changed] of [
      ['a list of lengths', ['Content-Length', '5, 5']],
      ['a length with a sign', ['Content-Length', '+5']],
      ['a length in hex', ['Content-Length', '0x5']],
      ['a length with an exponent', ['Content-Length', '5e0']],
      ['an empty length', ['Content-Length', '']],
      ['two lengths', ['Content-Length', '5', 'Content-Length', '6']],
    ] as const) {
      it(`are refused with ${what}, if the host is less strict than Node`, async () => {
        const { client, upstream } = await proxied({
          express,
          prepare: (app) => {
            app.use((req, _res, next) => {
              req.rawHeaders.splice(2, 2, ...changed)
              next()
            })
          },
        })
        client.write(`POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello`)
        expect((await client.response()).status).to.equal(400)
        expect(upstream.accepted).to.equal(0)
      })
    }

    for (const host of [
      'a b',
      '"a"',
      '<a>',
      'a/b',
      '/a',
      'user@a',
      'a?b',
      'a#b',
      'a\\b',
      'a:b',
      'a:80:80',
      'a:+80',
      '[::1',
      '[]',
      '[::1]a',
      '::1',
      'a%2',
      'a%zz',
      'a,b c',
      '{a}',
      'a|b',
      'a^b',
      'a`b',
      'a\tb',
      'a\u00e9b',
      'http://a',
    ]) {
      it(`are refused with the Host ${JSON.stringify(host)}, which names no host`, async () => {
        const { client, upstream } = await proxied({ express })
        client.write(Buffer.from(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`, 'latin1'))
        expect((await client.response()).status).to.equal(400)
        expect(upstream.accepted).to.equal(0)
      })
    }

    for (const host of [
      '',
      'a',
      'A.Example.',
      'a_b:80',
      'xn--bcher-kva.example',
      '127.0.0.1:8080',
      '[::1]',
      '[::1]:80',
      '[FE80::1%25eth0]',
      '[v1.x:y]',
      'a:',
      ':80',
      '%C3%A9.example',
      "a!$&'()*+,;=~-z",
    ]) {
      it(`may have the Host ${JSON.stringify(host)}`, async () => {
        const { exchange } = await proxied({ express })
        const { seen } = await exchange(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
        expect(seen).to.contain(`\r\nX-Forwarded-Host: ${host}\r\n`)
      })
    }

    for (const framing of ['Content-Length: 5', 'Transfer-Encoding: chunked']) {
      it(`are refused with a TRACE that has a body (${framing})`, async () => {
        const { client, upstream } = await proxied({ express })
        client.write(`${request('TRACE', '/', framing)}${framing.endsWith('5') ? 'hello' : CHUNKS}`)
        expect((await client.response()).status).to.equal(400)
        expect(upstream.accepted).to.equal(0)
      })
    }

    it('may have a TRACE without a body', async () => {
      const { exchange } = await proxied({ express })
      expect((await exchange(request('TRACE', '/'))).seen).to.match(/^TRACE /)
    })

    for (const [what, body] of [
      ['a length in decimal with a sign', '+5\r\nhello\r\n0\r\n\r\n'],
      ['a length of another base', '0x5\r\nhello\r\n0\r\n\r\n'],
      ['more bytes than its length', '5\r\nhello!\r\n0\r\n\r\n'],
      ['LF alone after its length', '5\nhello\r\n0\r\n\r\n'],
      // CVE-2025-55315
      ['LF in an extension', '5;a\nhello\r\n0\r\n\r\n'],
      ['a length past 64 bits', 'fffffffffffffffff\r\nhello\r\n0\r\n\r\n'],
    ] as const) {
      it(`are refused in a chunk with ${what}, and the upstream sees no whole request`, async () => {
        const { client, upstream } = await proxied({ express })
        client.write('POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n')
        const connection = await upstream.connection()
        await connection.untilText('ok')
        client.write(body)
        await client.closed()
        await connection.closed()
        expect(connection.pending.toString()).not.to.contain('0\r\n\r\n')
      })
    }

    it('lose their chunk extensions', async () => {
      const { client, upstream } = await proxied({ express })
      client.write(
        'POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n',
      )
      const connection = await upstream.connection()
      expect(await connection.untilText('0\r\n\r\n')).to.match(/\r\n\r\n5\r\nhello\r\n0\r\n\r\n$/)
      connection.write(answer())
      expect((await client.response()).status).to.equal(200)
    })

    it('lose trailers that an upstream could take for headers of this proxy', async function () {
      needsOwnClient(this, 'undici sends no trailers')
      const { client, upstream } = await proxied({ express })
      const bad = ['Host', 'Authorization', 'Cookie', 'X-Forwarded-For']
      const trailers = [...bad, 'x_forwarded_proto', 'Sluiceway-Loop'].map((field) => `${field}: 1\r\n`)
      client.write(
        `POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n${trailers.join('')}X-Sum: 5\r\n\r\n`,
      )
      const connection = await upstream.connection()
      expect(await connection.untilText('X-Sum: 5\r\n\r\n')).to.match(/\r\n0\r\nX-Sum: 5\r\n\r\n$/)
      connection.write(answer())
      expect((await client.response()).status).to.equal(200)
    })

    for (const target of ['\\evil.example/', '@evil.example/', 'evil.example', ':80/', 'a/b']) {
      it(`are refused if they ask for ${target}`, async () => {
        const { client, upstream } = await proxied({ express })
        client.write(`GET ${target} HTTP/1.1\r\nHost: test\r\n\r\n`)
        expect((await client.response()).status).to.equal(400)
        expect(upstream.accepted).to.equal(0)
      })
    }

    for (const [what, line] of [
      ['Content-Length', 'Content-Length: 5'],
      ['Transfer-Encoding', 'Transfer-Encoding: chunked'],
    ] as const) {
      it(`keep their body even if Connection names ${what}`, async () => {
        const { client, upstream } = await proxied({ express })
        const body = what === 'Content-Length' ? 'hello' : CHUNKS
        client.write(request('POST', '/', `Connection: keep-alive, ${what}`, line) + body)
        const connection = await upstream.connection()
        const seen = await connection.untilText(body)
        expect(seen.toLowerCase()).to.contain(`\r\n${line.toLowerCase()}\r\n`)
        connection.write(answer())
        expect((await client.response()).status).to.equal(200)
        client.write(request('GET', '/next'))
        expect(await connection.untilText('\r\n\r\n')).to.match(/^GET \/next /)
      })
    }

    it('do not choose the upstream by Host, absolute form or X-Forwarded-Host', async () => {
      const other = await proxied({ express })
      const host = `127.0.0.1:${other.upstream.port}`
      const { exchange } = await proxied({ express })
      const lines = [
        `X-Forwarded-Host: ${host}`,
        `Forwarded: host=${host}`,
        `X-Original-URL: http://${host}/`,
      ]
      const sent = `GET http://${host}/x HTTP/1.1\r\nHost: ${host}\r\n${lines.join('\r\n')}\r\n\r\n`
      expect((await exchange(sent)).seen).to.match(/^GET \/x HTTP/)
      expect(other.upstream.accepted).to.equal(0)
    })

    it('do not end the process or the server', async () => {
      const { server, upstream } = await proxied({ express })
      for (const junk of [
        '\0',
        '\r\n\r\n\r\n',
        'GET',
        'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
        '\x16\x03\x01\x02\0\x01',
      ]) {
        const client = await RawClient.connect(server.port)
        client.write(junk)
        client.socket.end()
        await client.closed()
      }
      expect(upstream.accepted).to.equal(0)
    })
  })
}
