import { Readable, Writable } from 'node:stream'
import busboy from 'busboy'
import { expect } from 'chai'
import { bodyCache } from 'sluiceway/body-cache'
import { maxBytes } from 'sluiceway/max-bytes'
import { asChunk, RawClient } from '../support/clients/raw-client.js'
import { type Handler, hosts } from '../support/express/hosts.js'
import { closeServers, serve } from '../support/servers/servers.js'

/*
 * busboy destroys the file that it is reading together with itself, and so do the parsers of archives. The example of
 * its README listens only for the data and the end of a file: the error of that file ended the process as soon as a
 * client sent too much.
 */

const HEAD = [
  'POST / HTTP/1.1',
  'Host: a',
  'Content-Type: multipart/form-data; boundary=b',
  'Transfer-Encoding: chunked',
  '',
  '',
].join('\r\n')
const PART = '--b\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\n'

/** A parser that hands out its body as the only entry of an archive, and fails with it. */
class Unpacker extends Writable {
  private readonly entry = new Readable({ read() {} })

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    if (this.listenerCount('entry') > 0 && !this.entry.readableDidRead) this.emit('entry', this.entry)
    this.entry.push(chunk)
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.entry.destroy(error ?? undefined)
    done(error)
  }
}

const handlers: Record<string, Handler> = {
  'busboy, without a listener for errors': (req, res) => {
    const form = busboy({ headers: req.headers })
    form.on('file', (_name, file) => file.on('data', () => {}).on('close', () => {}))
    form.on('finish', () => res.end('stored'))
    req.pipe(form)
  },
  'busboy, with one of its own': (req, res, next) => {
    const form = busboy({ headers: req.headers })
    form.on('file', (_name, file) => file.resume())
    form.on('finish', () => res.end('stored')).on('error', next)
    req.pipe(form)
  },
  'a parser of archives': (req, res) => {
    const unpacker = new Unpacker()
    unpacker.on('entry', (entry: Readable) => entry.resume()).on('finish', () => res.end('stored'))
    req.pipe(unpacker)
  },
}

const mounted: Record<string, readonly [Handler, number]> = {
  maxBytes: [maxBytes(2000), 413],
  'bodyCache with a limit': [bodyCache(2000), 413],
  'bodyCache with a full disk': [bodyCache({ memory: 0, diskBudget: 2000 }), 503],
}

for (const { name, mount } of hosts) {
  describe(`a destination that hands out streams, behind a body that is refused, on ${name}`, () => {
    afterEach(closeServers)

    for (const [title, handler] of Object.entries(handlers)) {
      for (const [what, [middleware, status]] of Object.entries(mounted)) {
        it(`does not end the process: ${title}, ${what}`, async () => {
          const { port } = await serve(mount(middleware, handler))
          const client = await RawClient.connect(port)
          client.write(HEAD, asChunk(PART), asChunk(Buffer.alloc(1000)), asChunk(Buffer.alloc(2000)))
          // An error without a listener ends the process: no-mishaps notices.
          expect((await client.response()).status).to.equal(status)
          await client.closed()
        })
      }
    }
  })
}
