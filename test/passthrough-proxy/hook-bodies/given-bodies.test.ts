import { createReadStream } from 'node:fs'
import { PassThrough, Readable } from 'node:stream'
import { createGzip } from 'node:zlib'
import { expect } from 'chai'
import {
  passthroughProxy,
  type OutgoingRequest,
  type PassthroughProxyOptions,
  type ReplacementBody,
} from 'sluiceway'
import { closeServers, serve } from '../../support/servers/servers.js'
import { deferred } from '../../support/time/deferred.js'
import { turns } from '../../support/time/turns.js'

/** A body that stays open, such as that of a file. */
const open = (): Readable => new Readable({ read() {} })

type Target = Parameters<typeof passthroughProxy>[0]

function proxyTo(target: Target, options: PassthroughProxyOptions): Promise<{ url: string }> {
  const proxy = passthroughProxy(target, options)
  return serve((req, res) => proxy(req, res, (error) => res.writeHead(500).end((error as Error).message)))
}

/** Fulfilled when a stream has been closed, before or after the call. */
async function closed(stream: Readable): Promise<void> {
  if (!stream.closed) await new Promise<void>((resolve) => stream.once('close', resolve))
}

describe('bodies that onRequest gives', () => {
  afterEach(closeServers)

  const echo = (): Promise<{ url: string }> =>
    serve((req, res) => {
      res.setHeader('Seen', JSON.stringify(req.headers))
      res.setHeader('Method', req.method as string)
      req.pipe(res)
    })

  async function upload(
    onRequest: (outgoing: OutgoingRequest) => unknown,
    headers: Record<string, string> = {},
  ): Promise<Response> {
    const proxy = await proxyTo((await echo()).url, { onRequest })
    return fetch(proxy.url, { method: 'POST', body: 'the body', headers })
  }

  it('are an error of the hook if they fail while it still runs', async () => {
    const response = await upload(async (outgoing) => {
      const file = createReadStream('/no/such/file')
      outgoing.body = file
      await new Promise<void>((resolve) => file.on('close', resolve))
    })
    expect(response.status).to.equal(500)
  })

  it('reach the upstream whole if the hook reads them too, and they come while the request waits', async () => {
    let read = ''
    const response = await upload((outgoing) => {
      const body = new PassThrough()
      outgoing.body = body
      body.on('data', (chunk: Buffer) => (read += chunk.toString()))
      // By then the hook is over, and the connection is being opened.
      setImmediate(() => body.end('given body'))
    })
    expect([await response.text(), read]).to.deep.equal(['given body', 'given body'])
  })

  it('are an error of the hook if the stream fails from which they are piped', async () => {
    const response = await upload((outgoing) => {
      const file = createReadStream('/no/such/file')
      outgoing.body = file
      outgoing.body = file.pipe(new PassThrough()).pipe(createGzip())
    })
    expect(response.status).to.equal(500)
  })

  it('end nothing if one fails in whose place another was given', async () => {
    const response = await upload(async (outgoing) => {
      const file = createReadStream('/no/such/file')
      outgoing.body = file
      outgoing.body = 'another'
      await closed(file)
    })
    expect(await response.text()).to.equal('another')
  })

  /** Bodies that cannot be sent, each made while the hook runs. */
  const broken: Record<string, (outgoing: OutgoingRequest) => unknown> = {
    'have failed just before': (outgoing) => {
      const body = open()
      body.destroy(new Error('failed'))
      outgoing.body = body
    },
    'are closed before their end': (outgoing) => {
      const body = open()
      body.push('half')
      outgoing.body = body
      setImmediate(() => body.destroy())
    },
    'have an object among their chunks': (outgoing) => (outgoing.body = Readable.from(['a', { b: 1 }])),
    'have a number among their chunks': (outgoing) => (outgoing.body = Readable.from([1])),
    'are changed, and the stream fails from which they are piped': (outgoing) => {
      const file = createReadStream('/no/such/file')
      outgoing.body = file
      outgoing.body = file.pipe(new PassThrough())
      outgoing.pipeThrough(createGzip())
    },
  }
  for (const [what, give] of Object.entries(broken)) {
    it(`are an error of the hook if they ${what}`, async () => {
      const response = await upload((outgoing) => void give(outgoing))
      expect(response.status).to.equal(500)
      expect(await response.text()).to.match(/onRequest/)
    })
  }

  it('may be words of two bytes', async () => {
    const response = await upload((outgoing) => {
      outgoing.body = Readable.from([new Uint16Array([0x4142, 0x4344])])
    })
    expect(await response.text()).to.equal('BADC')
  })

  for (const [what, spoil] of [
    [
      'throws',
      () => {
        throw new Error('no')
      },
    ],
    [
      'rejects',
      async () => {
        await turns(1)
        throw new Error('no')
      },
    ],
    [
      'makes a wrong path',
      (outgoing: OutgoingRequest) => {
        outgoing.path = 'x'
      },
    ],
    [
      'gives another stream',
      (outgoing: OutgoingRequest) => {
        outgoing.body = Readable.from(['b'])
      },
    ],
    [
      'gives a text',
      (outgoing: OutgoingRequest) => {
        outgoing.body = 'b'
      },
    ],
    [
      'gives null',
      (outgoing: OutgoingRequest) => {
        outgoing.body = null
      },
    ],
  ] as readonly [string, (outgoing: OutgoingRequest) => unknown][]) {
    it(`are destroyed if the hook ${what}`, async () => {
      const body = open()
      const response = await upload((outgoing) => {
        outgoing.body = body
        return spoil(outgoing)
      })
      await response.text()
      await closed(body)
    })
  }

  it('are destroyed if the client leaves and the hook never settles', async () => {
    const begun = deferred()
    const bodies = [open(), open()] as const
    const goOn = deferred()
    const given = deferred()
    const proxy = await proxyTo((await echo()).url, {
      async onRequest(outgoing) {
        outgoing.body = bodies[0]
        begun.resolve()
        await goOn.promise
        outgoing.body = bodies[1]
        given.resolve()
        await deferred().promise
      },
    })
    const leaving = new AbortController()
    const answered = fetch(proxy.url, { signal: leaving.signal }).catch(() => 'left')
    await begun.promise
    leaving.abort()
    await closed(bodies[0])
    goOn.resolve()
    await given.promise
    await closed(bodies[1])
    expect(await answered).to.equal('left')
  })

  it('are destroyed with each attempt, also if the hook of the next one fails', async () => {
    const bodies: Readable[] = []
    const targets = ['http://127.0.0.1:1', 'http://127.0.0.1:2']
    const proxy = await proxyTo(() => targets.shift(), {
      onRequest(outgoing) {
        bodies.push(open(), open())
        outgoing.body = bodies.at(-2) as Readable
        outgoing.body = bodies.at(-1) as Readable
        if (bodies.length > 2) throw new Error('no')
      },
    })
    expect((await fetch(proxy.url)).status).to.equal(500)
    expect(bodies).to.have.length(4)
    await Promise.all(bodies.map(closed))
  })

  it('may be made of the body that was given before', async () => {
    const response = await upload((outgoing) => {
      outgoing.body = Readable.from(['a', 'b'])
      const before = outgoing.body
      outgoing.body = Readable.from(
        (async function* louder() {
          for await (const chunk of before) yield String(chunk).toUpperCase()
        })(),
      )
    })
    expect(await response.text()).to.equal('AB')
  })

  for (const [what, create] of [
    ['a Uint8Array', () => new Uint8Array(Buffer.from('given'))],
    ['an ArrayBuffer', () => Uint8Array.from(Buffer.from('given')).buffer],
    ['a ReadableStream', () => new Blob(['given']).stream()],
  ] as readonly [string, () => ReplacementBody][]) {
    it(`may be ${what}`, async () => {
      const response = await upload((outgoing) => (outgoing.body = create()))
      expect(await response.text()).to.equal('given')
    })
  }

  it('are refused by name if they are of another kind', async () => {
    const messages: string[] = []
    await upload((outgoing) => {
      for (const body of [undefined, 1, (async function* () {})(), { secret: 1 }]) {
        try {
          outgoing.body = body as never
        } catch (error) {
          messages.push((error as Error).message)
        }
      }
    })
    const takes =
      'outgoing.body takes a stream, bytes (Buffer, Uint8Array, ArrayBuffer), a string or null, got '
    expect(messages).to.deep.equal([
      `${takes}undefined`,
      `${takes}a number`,
      `${takes}a value of class AsyncGenerator; wrap it in Readable.from()`,
      `${takes}an object`,
    ])
  })

  it('have neither the coding nor the digests of the body before', async () => {
    const described = { 'Content-Encoding': 'gzip', 'Content-Digest': 'x', 'Content-MD5': 'y', 'X-Kept': '1' }
    const response = await upload((outgoing) => (outgoing.body = 'plain'), described)
    const seen = JSON.parse(response.headers.get('Seen') as string) as Record<string, string>
    expect(seen).to.include({ 'x-kept': '1' })
    expect(seen).to.not.have.any.keys('content-encoding', 'content-digest', 'content-md5')
  })

  it('come beside a method in any case', async () => {
    const response = await upload((outgoing) => {
      outgoing.method = 'delete'
    })
    expect(response.headers.get('Method')).to.equal('DELETE')
  })
})
