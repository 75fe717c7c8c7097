import { createServer, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { expect } from 'chai'
import { attach, passthroughProxy, type PassthroughProxyOptions, type SluicewayError } from 'sluiceway'
import { RawClient, type RawResponse } from '../../support/clients/raw-client.js'
import { countedList } from '../../support/counted-list.js'
import { type Handler, hosts } from '../../support/express/hosts.js'
import { unmarked } from '../../support/servers/proxied.js'
import { answer, scriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, listen } from '../../support/servers/servers.js'
import { needsOwnClient } from '../../support/undici/transports.js'

type Change = (headers: Record<string, unknown>, req: IncomingMessage) => void

interface Case extends PassthroughProxyOptions {
  /** Lines of the client, behind its Host. */
  readonly sent: readonly string[]
  readonly change: Change
  readonly joinDuplicateHeaders?: boolean
  readonly start?: string
  readonly body?: string
}

interface Seen {
  /** The lines that the upstream got, without those that the proxy says itself. */
  readonly lines: readonly string[]
  readonly head: string
  readonly upstream: RawClient
}

for (const { name, mount } of hosts) {
  /** Starts a proxy behind a middleware that changes `req.headers`. */
  async function begin(
    one: Case,
  ): Promise<{ client: RawClient; upstream: Promise<RawClient>; errors: SluicewayError[] }> {
    const {
      sent,
      change,
      joinDuplicateHeaders = false,
      start = 'GET / HTTP/1.1',
      body = '',
      ...options
    } = one
    const upstream = await scriptedUpstream()
    const errors: SluicewayError[] = []
    const changing: Handler = (req, _res, next) => {
      change(req.headers, req)
      next()
    }
    const proxy = passthroughProxy(upstream.url, { forwarded: false, ...options })
    const watched: Handler = (req, res, next) => {
      proxy(req, res, (error) => {
        errors.push(error as SluicewayError)
        next(error)
      })
    }
    const listener = mount(changing, watched)
    const server = createServer({ joinDuplicateHeaders }, listener)
    attach(server, listener)
    const client = await RawClient.connect((await listen(server)).port)
    client.write(`${[start, 'Host: test', ...sent].join('\r\n')}\r\n\r\n${body}`)
    return { client, upstream: upstream.connection(), errors }
  }

  /** What the upstream gets of a request whose headers the application has changed. */
  async function seen(one: Case): Promise<Seen> {
    const { upstream } = await begin(one)
    const connection = await upstream
    const head = await connection.untilText('\r\n\r\n')
    const lines = unmarked(head.trimEnd().split('\r\n').slice(1))
    return { lines: lines.filter((line) => !/^(?:host|connection): /.test(line)), head, upstream: connection }
  }

  /** The answer to a request that is refused. */
  async function refused(one: Case): Promise<{ response: RawResponse; error: SluicewayError }> {
    const { client, upstream, errors } = await begin(one)
    upstream.catch(() => {})
    return { response: await client.response(), error: errors[0]! }
  }

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
          const { lines: passed } = await seen({
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
        expect((await seen({ sent, change })).lines).to.deep.equal(expected)
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
        const { lines } = await seen({ sent: repeated, change, joinDuplicateHeaders })
        expect(lines).to.deep.equal([...repeated, 'x-b: 3'])
      }
    })

    it('replace repeated lines of which Node keeps the first, if another value is set', async () => {
      const change: Change = (headers) => void (headers['authorization'] = 'mine')
      const { lines } = await seen({ sent: ['Authorization: a', 'X-A: 1', 'Authorization: b'], change })
      expect(lines).to.deep.equal(['Authorization: mine', 'X-A: 1'])
    })

    it('replace a list of Set-Cookie lines', async () => {
      const change: Change = (headers) => void (headers['set-cookie'] as string[]).push('c')
      const { lines } = await seen({ sent: ['Set-Cookie: a', 'X-A: 1', 'Set-Cookie: b'], change })
      expect(lines).to.deep.equal(['Set-Cookie: a', 'Set-Cookie: b', 'Set-Cookie: c', 'X-A: 1'])
    })

    // golang/go#50580, CVE-2026-33805
    it('keep a line that the application has set although the client names it in Connection', async () => {
      const { lines } = await seen({
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
        const { lines } = await seen({ sent: ['Connection: X-Hop', 'X-Hop: 1', 'X-Kept: 2'], change })
        expect(lines).to.deep.equal(['X-Kept: 2'])
      }
    })

    it('are stripped if they are hop-by-hop, even if the application has set them', async () => {
      const { lines } = await seen({
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

    for (const [what, change] of [
      ['deleted', (headers) => delete headers['content-length']],
      ['changed', (headers) => void (headers['content-length'] = '1')],
      ['joined by a coding', (headers) => void (headers['transfer-encoding'] = 'chunked')],
      ['replaced by a coding', (_headers, req) => void (req.headers = { 'transfer-encoding': 'chunked' })],
    ] as readonly (readonly [string, Change])[]) {
      it(`do not change the framing on the wire if the length is ${what}`, async () => {
        const start = 'POST / HTTP/1.1'
        const { head, upstream } = await seen({ start, sent: ['Content-Length: 5'], body: 'GET /', change })
        expect(head)
          .to.match(/\r\ncontent-length: 5\r\n/i)
          .and.not.match(/transfer-encoding/i)
        expect(String(await upstream.bytes(5))).to.equal('GET /')
      })
    }

    for (const [what, change] of [
      ['deleted', (headers) => delete headers['transfer-encoding']],
      ['replaced by a length', (_headers, req) => void (req.headers = { 'content-length': '2' })],
    ] as readonly (readonly [string, Change])[]) {
      it(`do not change the chunks on the wire if their coding is ${what}`, async () => {
        const start = 'POST / HTTP/1.1'
        const body = '5\r\nGET /\r\n0\r\n\r\n'
        const { head, upstream } = await seen({ start, sent: ['Transfer-Encoding: chunked'], body, change })
        expect(head)
          .to.match(/\r\ntransfer-encoding: chunked\r\n/i)
          .and.not.match(/content-length/i)
        expect(String(await upstream.chunkedBody())).to.equal('GET /')
      })
    }

    it('add no body to a request without one', async () => {
      for (const set of [
        { 'content-length': '5' },
        { 'content-length': 'x' },
        { 'transfer-encoding': 'chunked' },
      ]) {
        const change: Change = (headers) => Object.assign(headers, set)
        const { head } = await seen({ start: 'POST / HTTP/1.1', sent: ['X-A: 1'], change })
        expect(head.match(/^(?:content-length|transfer-encoding): .*$/gim)).to.deep.equal([
          'content-length: 0',
        ])
      }
    })

    it('name the host that the application has set, or none if it was deleted', async () => {
      const options = { preserveHost: true, forwarded: 'replace', sent: [] } as const
      const set = await seen({ ...options, change: (headers) => void (headers['host'] = 'b.example:8080') })
      expect(set.head).to.match(/\r\nhost: b\.example:8080\r\n/i)
      expect(set.lines).to.include('X-Forwarded-Host: b.example:8080')
      const deleted = await seen({ ...options, change: (headers) => delete headers['host'] })
      expect(deleted.head.match(/^host: .*$/gim)).to.have.length(1)
      expect(deleted.head)
        .to.match(/\r\nhost: 127\.0\.0\.1:\d+\r\n/i)
        .and.not.contain('X-Forwarded-Host')
    })

    it('do not change the host without preserveHost', async () => {
      const { head } = await seen({ sent: [], change: (headers) => void (headers['host'] = 'b.example') })
      expect(head.match(/^host: .*$/gim)).to.have.length(1)
      expect(head).to.match(/\r\nhost: 127\.0\.0\.1:\d+\r\n/i)
    })

    for (const [what, change] of [
      ['a line break in a value', (headers) => void (headers['x-a'] = 'b\r\nX-C: d')],
      ['a value beyond a byte', (headers) => void (headers['x-a'] = '\u2603')],
      ['a name that is none', (headers) => void (headers['x a'] = 'b')],
      ['an object', (headers) => void (headers['x-a'] = {})],
      ['a line break in a list', (headers) => void (headers['x-a'] = ['b', 'c\nd'])],
    ] as readonly (readonly [string, Change])[]) {
      it(`are an error of the application, and send no request, with ${what}`, async () => {
        const { response, error } = await refused({ sent: ['X-A: 1'], change })
        expect([response.status, error.code]).to.deep.equal([500, 'ERR_SLUICEWAY_PROXY_HOOK'])
        expect(error.message).to.contain(what.includes('name') ? '"x a"' : '"x-a"')
      })
    }

    it('cannot remove the mark that detects loops', async () => {
      const { head } = await seen({
        sent: ['Sluiceway-Loop: abc'],
        change: (_headers, req) => void (req.headers = {}),
      })
      expect(head.match(/^sluiceway-loop: .*$/gim)).to.have.length(2)
    })

    it('do not come back in a trailer', async function () {
      needsOwnClient(this, 'undici sends no trailers')
      const { upstream } = await seen({
        start: 'POST / HTTP/1.1',
        sent: ['Transfer-Encoding: chunked', 'Trailer: X-User, X-Sum'],
        body: '1\r\na\r\n0\r\nX-User: mallory\r\nX-Sum: 1\r\n\r\n',
        change: (headers) => void (headers['x-user'] = 'alice'),
      })
      expect(await upstream.untilText('0\r\nX-Sum: 1\r\n\r\n')).not.to.contain('mallory')
    })

    it('turn an upgrade whose Upgrade was deleted into a plain request', async () => {
      const { head } = await seen({
        sent: ['Connection: Upgrade', 'Upgrade: websocket'],
        change: (headers) => delete headers['upgrade'],
      })
      expect(head).not.to.match(/upgrade/i)
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
