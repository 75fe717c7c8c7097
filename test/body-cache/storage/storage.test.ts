import { createHash } from 'node:crypto'
import { once } from 'node:events'
import fs from 'node:fs'
import path from 'node:path'
import { PassThrough, Readable, Writable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { expect } from 'chai'
import rawBody from 'raw-body'
import { bodyCache } from 'sluiceway/body-cache'
import { maxBytes } from 'sluiceway/max-bytes'
import { asChunk, lastChunk, RawClient } from '../../support/clients/raw-client.js'
import { type Handler, hosts } from '../../support/express/hosts.js'
import { allClosedIn, openFilesIn } from '../../support/process/temporary-files.js'
import { serve } from '../../support/servers/servers.js'
import { until } from '../../support/time/until.js'
import { describeOnLinux, type Given, giveEach } from './given.js'

const KB = 1024
const body = Buffer.from(Array.from({ length: 300 * KB }, (_, index) => index % 251))
const digest = createHash('sha256').update(body).digest('hex')

const ways: Record<string, (req: Parameters<Handler>[0]) => Promise<Buffer>> = {
  'raw-body': (req) => rawBody(req),
  'for await': async (req) => {
    const chunks: Buffer[] = []
    for await (const chunk of req) chunks.push(chunk as Buffer)
    return Buffer.concat(chunks)
  },
  pipe: (req) => buffer(req.pipe(new PassThrough())),
  pipeline: async (req) => {
    const through = new PassThrough()
    const [all] = await Promise.all([buffer(through), pipeline(req, through)])
    return all
  },
  'req.bodyCache.buffer': (req) => req.bodyCache.buffer(),
  'req.bodyCache.web': (req) => buffer(Readable.fromWeb(req.bodyCache.web() as never)),
}

/** Reads the body in every way, one after the other and twice. */
const readInEveryWay: Handler = async (req, res) => {
  for (const read of [...Object.values(ways), ...Object.values(ways)]) {
    expect(
      createHash('sha256')
        .update(await read(req))
        .digest('hex'),
    ).to.equal(digest)
  }
  res.end('same')
}

describeOnLinux('bodyCache, beyond memory', () => {
  let directory: Given['directory']
  let upload: Given['upload']

  giveEach((given) => ({ directory, upload } = given))

  it('finds a directory without its full path, wherever the process goes', async () => {
    const before = process.cwd()
    const store = bodyCache({ directory: path.relative(before, directory), memory: 0 })
    process.chdir('/')
    try {
      const { port } = await serve(hosts[0]!.mount(store, readInEveryWay))
      const client = await RawClient.connect(port)
      client.request('POST', '/', {}, body)
      expect((await client.response()).body.toString()).to.equal('same')
    } finally {
      process.chdir(before)
    }
  })

  for (const { name, mount } of hosts) {
    for (const memory of [0, '100kb'] as const) {
      it(`replays a body for every way of reading, ${memory} of it in memory, on ${name}`, async () => {
        const { port } = await serve(mount(bodyCache({ directory, memory }), readInEveryWay))
        const client = await RawClient.connect(port)
        client.request('POST', '/', {}, body)
        expect((await client.response()).body.toString()).to.equal('same')
        client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
        for (let start = 0; start < body.length; start += 7000) {
          client.write(asChunk(body.subarray(start, start + 7000)))
        }
        client.write(lastChunk)
        expect((await client.response()).body.toString()).to.equal('same')
        await allClosedIn(directory)
        client.destroy()
      })
    }
  }

  it('writes to a file that only its user may read and that has no path', async () => {
    const { url } = await upload({ memory: '100kb' }, async (req, res) => {
      await req.bodyCache.buffer()
      res.end(JSON.stringify({ files: openFilesIn(directory), names: fs.readdirSync(directory) }))
    })
    const answer = (await (await fetch(url, { method: 'POST', body })).json()) as {
      files: { size: number }[]
      names: string[]
    }
    expect(answer.names).to.deep.equal([])
    expect(answer.files).to.have.length(1)
    expect(answer.files[0]).to.include({ unlinked: true, mode: 0o600 })
    expect(answer.files[0]!.size).to.be.within(200 * KB, 300 * KB)
    await allClosedIn(directory)
  })

  it('asks for the rest of a body whose first reader comes once everything so far is in the file', async () => {
    const { port } = await upload({ memory: 0 }, async (req, res) => {
      // More than the request's own buffer takes, so that its connection is paused.
      await until(() => openFilesIn(directory)[0]?.size === 60 * KB, 'the bytes in the file')
      res.end(String((await rawBody(req)).equals(body.subarray(0, 60 * KB))))
    })
    const client = await RawClient.connect(port)
    client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
    for (let start = 0; start < 60 * KB; start += 20 * KB) {
      client.write(asChunk(body.subarray(start, start + 20 * KB)))
    }
    await until(() => openFilesIn(directory)[0]?.size === 60 * KB, 'the bytes in the file')
    client.write(lastChunk)
    expect((await client.response()).body.toString()).to.equal('true')
    client.destroy()
  })

  it('opens no file for a body that fits in memory', async () => {
    const { url } = await upload({ memory: '300kb' }, async (req, res) => {
      await req.bodyCache.buffer()
      res.end(String(openFilesIn(directory).length))
    })
    expect(await (await fetch(url, { method: 'POST', body })).text()).to.equal('0')
  })

  it('gives a slow reader from the file the bytes that a fast one had long ago', async () => {
    const { url } = await upload({ memory: 0 }, async (req, res) => {
      const slow = req.bodyCache.stream()
      const [first] = (await once(slow, 'data')) as [Buffer]
      slow.pause()
      const fast = await rawBody(req)
      const rest = await buffer(slow)
      res.end(String(fast.equals(body) && Buffer.concat([first, rest]).equals(body)))
    })
    expect(await (await fetch(url, { method: 'POST', body })).text()).to.equal('true')
  })

  it('feeds a late reader in order while the client is still sending', async () => {
    const large = Buffer.concat(Array.from({ length: 20 }, () => body))
    const { url } = await upload({ memory: 0 }, async (req, res) => {
      let seen = 0
      let late: Promise<Buffer> | undefined
      for await (const chunk of req.bodyCache.stream()) {
        seen += (chunk as Buffer).length
        if (seen > 1024 * KB) late ??= buffer(req.bodyCache.stream())
      }
      const all = await late
      res.end(`${seen} ${String(all?.equals(large))}`)
    })
    const answer = await fetch(url, { method: 'POST', body: large })
    expect(await answer.text()).to.equal(`${large.length} true`)
  })

  it("holds no more for a paused reader than fits into the reader's own buffer", async () => {
    const { url } = await upload({ memory: 0 }, async (req, res) => {
      const slow = req.bodyCache.stream()
      await once(slow, 'readable')
      await req.bodyCache.buffer()
      res.end(String(slow.readableLength))
    })
    const answer = await fetch(url, { method: 'POST', body })
    expect(Number(await answer.text())).to.be.within(1, 200 * KB)
  })

  it('continues with the body that an abandoning reader left half read', async () => {
    const { url } = await upload({ memory: '10kb' }, async (req, res) => {
      for await (const chunk of req) if ((chunk as Buffer).length > 0) break
      const partial = await rawBody(req, { limit: 100 * KB }).catch((error: { type: string }) => error.type)
      res.end(`${String(partial)} ${(await rawBody(req)).equals(body)}`)
    })
    expect(await (await fetch(url, { method: 'POST', body })).text()).to.equal('entity.too.large true')
  })

  it('gives a round no bytes that were read from the file for the previous one', async () => {
    const { url } = await upload({ memory: 0 }, async (req, res) => {
      await req.bodyCache.buffer()
      for (let round = 0; round < 20; round++) {
        // The next piece is being read by the time the reader gives up.
        const full = new Writable({
          write: (_chunk, _encoding, done) => process.nextTick(done, new Error('disk full')),
        })
        await pipeline(req, full).catch(() => {})
        if (!(await rawBody(req)).equals(body)) return void res.end(`round ${round}`)
      }
      return void res.end('same')
    })
    expect(await (await fetch(url, { method: 'POST', body })).text()).to.equal('same')
  })

  it('asks the client for more once a slow reader has caught up', async () => {
    const { url } = await upload({ memory: 0 }, async (req, res) => {
      const slow = req.bodyCache.stream()
      await once(slow, 'readable')
      const fast = req.bodyCache.stream()
      let seen = 0
      for await (const chunk of fast) if ((seen += (chunk as Buffer).length) > 100 * KB) break
      res.end(String((await buffer(slow)).equals(body)))
    })
    expect(await (await fetch(url, { method: 'POST', body })).text()).to.equal('true')
  })

  it('sends new bytes straight to files once all requests together fill memoryBudget', async () => {
    let release = (): void => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const { url } = await upload({ memory: '1mb', memoryBudget: '350kb' }, async (req, res) => {
      await req.bodyCache.buffer()
      const size = openFilesIn(directory).reduce((sum, file) => sum + file.size, 0)
      if (req.url === '/first') {
        res.write(String(size))
        await held
        res.end()
      } else res.end(String(size))
    })
    const first = await fetch(`${url}/first`, { method: 'POST', body })
    const second = await (await fetch(url, { method: 'POST', body })).text()
    expect(Number(second)).to.be.within(200 * KB, 300 * KB)
    release()
    expect(await first.text()).to.equal('0')
    await allClosedIn(directory)
    expect(await (await fetch(url, { method: 'POST', body })).text()).to.equal('0')
  })

  for (const order of [['maxBytes', 'bodyCache'] as const, ['bodyCache', 'maxBytes'] as const]) {
    it(`respects the limit of maxBytes, mounted as ${order.join(' then ')}`, async () => {
      const made = { maxBytes: maxBytes('200kb'), bodyCache: bodyCache({ directory, memory: '50kb' }) }
      const read: Handler = (req, res, next) => {
        rawBody(req).then(() => res.end('whole'), next)
      }
      const { port } = await serve(hosts[2]!.mount(...order.map((key) => made[key]), read))
      const client = await RawClient.connect(port)
      client.request('POST', '/', {}, [body.toString('latin1', 0, 150 * KB), body.toString('latin1')])
      expect((await client.response()).status).to.equal(413)
      await client.closed()
      await allClosedIn(directory)
    })
  }

  it('closes the file when the client leaves, at any moment', async () => {
    const { port } = await upload({ memory: 0 }, (req, res) => {
      rawBody(req).then(
        () => res.write('never ends'),
        () => {},
      )
    })
    const moments = [0, 1, 1000, 100 * KB, body.length]
    await Promise.all(
      Array.from({ length: 200 }, async (_, index) => {
        const client = await RawClient.connect(port)
        client.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n`)
        client.write(body.subarray(0, moments[index % moments.length]))
        // A socket that is being shut down cannot be reset: Node would wait for it for ever.
        if (index % 2 === 0) client.socket.resetAndDestroy()
        else client.destroy()
      }),
    )
    await allClosedIn(directory)
    expect(fs.readdirSync(directory)).to.deep.equal([])
  })
})
