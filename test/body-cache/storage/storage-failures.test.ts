import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import path from 'node:path'
import { expect } from 'chai'
import express, { type NextFunction, type Request, type Response } from 'express'
import rawBody from 'raw-body'
import { isSluicewayError } from 'sluiceway'
import { bodyCache } from 'sluiceway/body-cache'
import { RawClient } from '../../support/clients/raw-client.js'
import { type Handler, hosts } from '../../support/express/hosts.js'
import { allClosedIn, openFilesIn, removeDirectories } from '../../support/process/temporary-files.js'
import { serve } from '../../support/servers/servers.js'
import { turns } from '../../support/time/turns.js'
import { describeOnLinux, type Given, giveEach } from './given.js'

const KB = 1024
const body = Buffer.from(Array.from({ length: 300 * KB }, (_, index) => index % 251))

/** Lets each read of a file fail while `action` runs. Returns how many have failed. */
async function whileReadsFail(action: () => Promise<unknown>): Promise<number> {
  const handle = await fs.promises.open(process.execPath)
  const prototype = Object.getPrototypeOf(handle) as { read: unknown }
  await handle.close()
  const { read } = prototype
  let failed = 0
  prototype.read = async (): Promise<never> => {
    failed += 1
    throw Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' })
  }
  await action().finally(() => {
    prototype.read = read
  })
  return failed
}

describeOnLinux('bodyCache, if the bytes beyond memory cannot be stored or read', () => {
  let directory: Given['directory']
  let upload: Given['upload']

  giveEach((given) => ({ directory, upload } = given))

  for (const { name, mount } of hosts) {
    it(`refuses with 503 and Retry-After a body that exceeds diskBudget, on ${name}`, async () => {
      const errors: unknown[] = []
      const store = bodyCache({ directory, memory: 0, diskBudget: '250kb' })
      const read: Handler = (req, res, next) => {
        rawBody(req).then(
          (all) => res.end(String(all.length)),
          (error: unknown) => {
            errors.push(error)
            next(error)
          },
        )
      }
      const { port } = await serve(mount(store, read))
      const client = await RawClient.connect(port)
      client.request('POST', '/', {}, body)
      const refused = await client.response()
      expect([refused.status, refused.headers['connection']]).to.deep.equal([503, ['close']])
      if (name !== 'bare http') expect(refused.headers['retry-after']).to.deep.equal(['10'])
      await client.closed()
      expect(errors).to.have.length(1)
      expect(errors[0]).to.satisfy(isSluicewayError).and.include({ code: 'ERR_SLUICEWAY_STORAGE_FULL' })
      // What the refused body had taken is given back.
      const next = await RawClient.connect(port)
      next.request('POST', '/', {}, body.subarray(0, 200 * KB))
      expect((await next.response()).body.toString()).to.equal(String(200 * KB))
      await allClosedIn(directory)
    })
  }

  it('sends its own 503 when a parser swallows the error', async () => {
    const { port } = await upload({ memory: 0, diskBudget: 1000 }, (req, res) => {
      rawBody(req).catch(() => res.end('half a body'))
    })
    const client = await RawClient.connect(port)
    client.request('POST', '/', {}, body)
    const { status, headers, body: text } = await client.response()
    expect([status, headers['retry-after'], text.toString()]).to.deep.equal([
      503,
      ['10'],
      'Service Unavailable',
    ])
  })

  for (const [position, size] of [
    ['from its first byte', 4 * KB],
    ['in the middle of a body', 200 * KB],
    ['within the last bytes of a body', 296 * KB],
  ] as const) {
    it(`answers 503 on a disk that is full ${position}`, async function () {
      const disk = mountSmallDisk(directory, size)
      if (typeof disk === 'string') {
        console.log(`        skipped: no small disk can be mounted here (${disk})`)
        this.skip()
      }
      try {
        const { port } = await upload({ memory: 0 }, (req, res, next) => {
          // The first reader has the last bytes before they fail to be written, the second needs the file.
          rawBody(req)
            .then(() => rawBody(req))
            .then((all) => res.end(String(all.length)), next)
        })
        const client = await RawClient.connect(port)
        client.request('POST', '/', {}, body)
        expect((await client.response()).status).to.equal(503)
        await allClosedIn(directory)
        const next = await RawClient.connect(port)
        next.request('POST', '/', {}, body.subarray(0, 2000))
        expect((await next.response()).body.toString()).to.equal('2000')
        await allClosedIn(directory)
      } finally {
        disk.unmount()
      }
    })
  }

  it('answers 500 if the directory is gone, and does not reveal its name to the client', async () => {
    const errors: Error[] = []
    const app = express()
    app.use(bodyCache({ directory, memory: 0 }), (req, _res, next) => {
      rawBody(req).then(() => next(), next)
    })
    app.use((error: Error & { status: number }, _req: Request, res: Response, _next: NextFunction) => {
      errors.push(error)
      res.status(error.status).json({ own: 'page' })
    })
    const { url } = await serve(app)
    removeDirectories()
    const response = await fetch(url, { method: 'POST', body })
    expect([response.status, await response.text()]).to.deep.equal([500, '{"own":"page"}'])
    expect(errors[0]).to.include({ code: 'ERR_SLUICEWAY_STORAGE_FAILED', expose: false })
    expect(errors[0]!.message).not.to.contain(directory)
    expect((errors[0]!.cause as NodeJS.ErrnoException).code).to.equal('ENOENT')
  })

  it('fails the reader, and closes the file, if another process removes it first', async () => {
    const { url } = await upload({ memory: 0 }, (req, res) => {
      // The file is being opened by another thread while its first bytes are handed over.
      req.once('data', () => {
        while (fs.readdirSync(directory).length === 0);
        fs.rmSync(path.join(directory, fs.readdirSync(directory)[0]!))
      })
      rawBody(req).catch((error: { code: string }) => {
        res.statusCode = 507
        res.end(error.code)
      })
    })
    const response = await fetch(url, { method: 'POST', body })
    expect([response.status, await response.text()]).to.deep.equal([507, 'ERR_SLUICEWAY_STORAGE_FAILED'])
    await allClosedIn(directory)
  })

  it('answers 500, not a short body, if the file can no longer be read', async () => {
    const codes: unknown[] = []
    const { url } = await upload({ memory: '10kb' }, async (req, res) => {
      expect((await rawBody(req)).equals(body)).to.equal(true)
      const [file] = openFilesIn(directory)
      // The system gives the number that was closed last: from now on it stands for a file that is only written to.
      fs.closeSync(file!.descriptor)
      expect(fs.openSync(path.join(directory, 'other'), 'w')).to.equal(file!.descriptor)
      const failures = [rawBody(req), req.bodyCache.buffer(), rawBody(req)].map((reading) =>
        reading.catch((error: { code: string }) => error.code),
      )
      codes.push(...(await Promise.all(failures)))
      res.end('half a body')
    })
    expect((await fetch(url, { method: 'POST', body })).status).to.equal(500)
    expect(codes).to.deep.equal(Array.from({ length: 3 }, () => 'ERR_SLUICEWAY_STORAGE_FAILED'))
  })

  it('does not fail the answer if no reader waits for bytes that cannot be read, and asks for them again', async () => {
    const { url } = await upload({ memory: 0 }, async (req, res) => {
      await rawBody(req)
      const failed = await whileReadsFail(async () => {
        // It has enough with what the request has read ahead, and the request reads ahead for the next one.
        await rawBody(req, { limit: 10 }).catch(() => {})
        await turns(3)
      })
      expect(failed).to.be.above(0)
      res.end(await rawBody(req))
    })
    const response = await fetch(url, { method: 'POST', body })
    expect(response.status).to.equal(200)
    expect(body.equals(Buffer.from(await response.arrayBuffer()))).to.equal(true)
    await allClosedIn(directory)
  })

  it('throws for a directory that cannot be written to', () => {
    for (const wrong of [path.join(directory, 'absent'), '', import.meta.filename]) {
      expect(() => bodyCache({ directory: wrong })).to.throw(
        RangeError,
        /option "directory" must be the path/,
      )
    }
    expect(() => bodyCache({ directory: 7 as never })).to.throw(TypeError, /option "directory"/)
  })

  it("fails a reader that listens for one 'readable' at a time, also while it works on what it has", async () => {
    const { url } = await upload({ memory: 0 }, async (req, res) => {
      await rawBody(req)
      await once(req, 'readable')
      const failed = await whileReadsFail(async () => {
        req.read()
        await turns(3)
      })
      expect(failed).to.be.above(0)
      // As in Node, where its 'error' may come in the meantime too.
      await once(req, 'end').catch(() => {})
      res.end('half a body')
    })
    expect((await fetch(url, { method: 'POST', body })).status).to.equal(500)
    await allClosedIn(directory)
  })
})

/** Mounts a file system of `size` bytes over a directory, or returns the reason why it cannot. */
function mountSmallDisk(directory: string, size: number): { unmount: () => void } | string {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', directory], { stdio: 'pipe' })
  } catch (error) {
    return (error as Error).message.trim()
  }
  return { unmount: () => execFileSync('umount', ['-l', directory]) }
}
