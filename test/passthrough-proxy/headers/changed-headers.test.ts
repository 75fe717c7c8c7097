import { createServer, type IncomingHttpHeaders } from 'node:http'
import { expect } from 'chai'
import { passthroughProxy } from 'sluiceway'
import { RawClient } from '../../support/clients/raw-client.js'
import { countedList } from '../../support/counted-list.js'
import { type Handler, hosts } from '../../support/express/hosts.js'
import { answer, scriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, listen } from '../../support/servers/servers.js'
import { needsOwnClient } from '../../support/undici/transports.js'
import { type Change, ChangingApp } from './changing-app.js'

for (const { name, mount } of hosts) {
  const app = new ChangingApp(mount)

  describe(`passthroughProxy, headers that the application has changed (${name})`, () => {
    afterEach(closeServers)

    const sent = [
      'Accept: a',
      'X-Twice: 1',
      'COOKIE: a=1',
      'X-Twice: 2',
      'Authorization: Basic client',
      'x-last: z',
    ]

    for (const [what, last] of [
      ['left', []],
      ['changed', ['z=1']],
    ] as const) {
      it(`looks a few times at each of a list of lines that the application has ${what}`, async () => {
        const read: number[] = []
        for (const count of [100, 400]) {
          const lines = Array.from({ length: count }, (_, at) => `a=${at}`)
          const { list, reads } = countedList([...lines, ...last])
          const { lines: passed } = await app.seen({
            sent: [...lines.map((line) => `Set-Cookie: ${line}`), 'X-Last: z'],
            change: (headers) => void (headers['set-cookie'] = list),
          })
          expect(passed).to.have.length(count + last.length + 1)
          read.push(reads())
        }
        expect(read[1]).to.be.below(5 * read[0]!)
      })
    }

    for (const [what, change, expected] of [
      [
        'a value that is set',
        (headers) => void (headers['authorization'] = 'Bearer server'),
        sent.with(4, 'Authorization: Bearer server'),
      ],
      ['a line that is deleted', (headers) => delete headers['cookie'], sent.toSpliced(2, 1)],
      [
        'a line that is set to undefined',
        (headers) => void (headers['cookie'] = undefined),
        sent.toSpliced(2, 1),
      ],
      ['a line that is set to null', (headers) => void (headers['cookie'] = null), sent.toSpliced(2, 1)],
      [
        'a new name, as it is written',
        (headers) => void (headers['X-User-Id'] = '7'),
        [...sent, 'X-User-Id: 7'],
      ],
      [
        'a name that is set in another case, with its new value',
        (headers) => void (headers['Authorization'] = 'Bearer server'),
        sent.with(4, 'Authorization: Bearer server'),
      ],
      [
        'a list of values, one line each',
        (headers) => void (headers['accept'] = ['b', 'c']),
        ['Accept: b', 'Accept: c', ...sent.slice(1)],
      ],
      ['an empty list, as none', (headers) => void (headers['accept'] = []), sent.slice(1)],
      [
        'a list of cookies, in one line',
        (headers) => void (headers['cookie'] = ['a=1', 'b=2']),
        sent.with(2, 'COOKIE: a=1; b=2'),
      ],
      ['a number', (headers) => void (headers['x-last'] = 7), sent.with(5, 'x-last: 7')],
      ['a bigint', (headers) => void (headers['x-last'] = 7n), sent.with(5, 'x-last: 7')],
      ['true', (headers) => void (headers['x-last'] = true), sent.with(5, 'x-last: true')],
      [
        'a repeated name that is set, as one line in place of the first',
        (headers) => void (headers['x-twice'] = '3'),
        sent.with(1, 'X-Twice: 3').toSpliced(3, 1),
      ],
      [
        'a repeated name that is set to its first value',
        (headers) => void (headers['x-twice'] = '1'),
        sent.toSpliced(3, 1),
      ],
      [
        'a part that is added to a cookie',
        (headers) => void (headers['cookie'] = `${String(headers['cookie'])}; b=2`),
        sent.with(2, 'COOKIE: a=1; b=2'),
      ],
      [
        'every line unchanged, if a value is set to itself',
        (headers) => Object.assign(headers, { ...headers }),
        sent,
      ],
      [
        'every line unchanged, if a name is deleted and set again',
        (headers) => {
          const { accept } = headers
          delete headers['accept']
          headers['accept'] = accept
        },
        sent,
      ],
      [
        'only the new lines, if the object is replaced',
        (_headers, req) => void (req.headers = { 'x-only': '1', 'x-last': 'z' }),
        ['x-last: z', 'x-only: 1'],
      ],
      [
        'every line unchanged, if the object is replaced by a copy',
        (headers, req) => void (req.headers = { ...(headers as IncomingHttpHeaders) }),
        sent,
      ],
    ] as readonly (readonly [string, Change, readonly string[]])[]) {
      it(`pass on ${what}`, async () => {
        expect((await app.seen({ sent, change })).lines).to.deep.equal(expected)
      })
    }

    it('do not change repeated lines of which Node keeps the first, all, or a list', async () => {
      const repeated = [
        'User-Agent: a',
        'user-agent: b',
        'Cookie: a=1',
        'X-A: 1',
        'cookie: b=2',
        'Set-Cookie: c',
        'x-a: 2',
        'Set-Cookie: d',
        'Authorization: e',
        'AUTHORIZATION: f',
        '__proto__: g',
        '0: h',
        'constructor: i',
      ]
      const change: Change = (headers) => void (headers['x-b'] = '3')
      for (const joinDuplicateHeaders of [false, true]) {
        const { lines } = await app.seen({ sent: repeated, change, joinDuplicateHeaders })
        expect(lines).to.deep.equal([...repeated, 'x-b: 3'])
      }
    })

    it('replace repeated lines of which Node keeps the first, if another value is set', async () => {
      const change: Change = (headers) => void (headers['authorization'] = 'mine')
      const { lines } = await app.seen({ sent: ['Authorization: a', 'X-A: 1', 'Authorization: b'], change })
      expect(lines).to.deep.equal(['Authorization: mine', 'X-A: 1'])
    })

    it('replace a list of Set-Cookie lines', async () => {
      const change: Change = (headers) => void (headers['set-cookie'] as string[]).push('c')
      const { lines } = await app.seen({ sent: ['Set-Cookie: a', 'X-A: 1', 'Set-Cookie: b'], change })
      expect(lines).to.deep.equal(['Set-Cookie: a', 'Set-Cookie: b', 'Set-Cookie: c', 'X-A: 1'])
    })

    // golang/go#50580, CVE-2026-33805
    it('keep a line that the application has set although the client names it in Connection', async () => {
      const { lines } = await app.seen({
        sent: ['Connection: X-User, X-Role, X-Gone', 'X-User: mallory', 'X-Gone: 1'],
        change: (headers) => Object.assign(headers, { 'x-user': 'alice', 'x-role': 'guest' }),
      })
      expect(lines).to.deep.equal(['X-User: alice', 'x-role: guest'])
    })

    it("are stripped by the client's own Connection line, even if the application changes it", async () => {
      for (const change of [
        (headers) => delete headers['connection'],
        (headers) => void (headers['connection'] = 'x-kept'),
      ] as readonly Change[]) {
        const { lines } = await app.seen({ sent: ['Connection: X-Hop', 'X-Hop: 1', 'X-Kept: 2'], change })
        expect(lines).to.deep.equal(['X-Kept: 2'])
      }
    })

    it('are stripped if they are hop-by-hop, even if the application has set them', async () => {
      const { lines } = await app.seen({
        sent: ['X-A: 1'],
        change: (headers) =>
          Object.assign(headers, {
            connection: 'x-a',
            'keep-alive': 'timeout=9',
            'proxy-connection': 'close',
            'proxy-authorization': 'Basic x',
            upgrade: 'h2c',
            'http2-settings': 'AAA',
            expect: '100-continue',
            te: 'gzip, trailers',
          }),
      })
      expect(lines).to.deep.equal(['X-A: 1', 'te: trailers'])
    })

    it('name the host that the application has set, or none if it was deleted', async () => {
      const options = { preserveHost: true, forwarded: 'replace', sent: [] } as const
      const set = await app.seen({
        ...options,
        change: (headers) => void (headers['host'] = 'b.example:8080'),
      })
      expect(set.head).to.match(/\r\nhost: b\.example:8080\r\n/i)
      expect(set.lines).to.include('X-Forwarded-Host: b.example:8080')
      const deleted = await app.seen({ ...options, change: (headers) => delete headers['host'] })
      expect(deleted.head.match(/^host: .*$/gim)).to.have.length(1)
      expect(deleted.head)
        .to.match(/\r\nhost: 127\.0\.0\.1:\d+\r\n/i)
        .and.not.contain('X-Forwarded-Host')
    })

    it('do not change the host without preserveHost', async () => {
      const { head } = await app.seen({ sent: [], change: (headers) => void (headers['host'] = 'b.example') })
      expect(head.match(/^host: .*$/gim)).to.have.length(1)
      expect(head).to.match(/\r\nhost: 127\.0\.0\.1:\d+\r\n/i)
    })

    it('do not come back in a trailer', async function () {
      needsOwnClient(this, 'undici sends no trailers')
      const { upstream } = await app.seen({
        start: 'POST / HTTP/1.1',
        sent: ['Transfer-Encoding: chunked', 'Trailer: X-User, X-Sum'],
        body: '1\r\na\r\n0\r\nX-User: mallory\r\nX-Sum: 1\r\n\r\n',
        change: (headers) => void (headers['x-user'] = 'alice'),
      })
      expect(await upstream.untilText('0\r\nX-Sum: 1\r\n\r\n')).not.to.contain('mallory')
    })

    it('are changed for this request only', async () => {
      const upstream = await scriptedUpstream()
      const changing: Handler = (req, _res, next) => {
        if (req.url === '/first') req.headers['x-user'] = 'alice'
        next()
      }
      const listener = mount(changing, passthroughProxy(upstream.url))
      const client = await RawClient.connect((await listen(createServer(listener))).port)
      client.request('GET', '/first')
      const connection = await upstream.connection()
      expect(await connection.untilText('\r\n\r\n')).to.contain('x-user: alice')
      connection.write(answer())
      await client.response()
      client.request('GET', '/second')
      expect(await connection.untilText('\r\n\r\n')).not.to.contain('alice')
    })
  })
}
