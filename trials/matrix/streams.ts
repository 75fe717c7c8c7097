import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { PassThrough, Readable, Writable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { Response as UndiciResponse } from 'undici'
import { bytes, type Consumer } from './consumer.js'

/** Whoever uses a request as the stream it is. */
export const streams: readonly Consumer[] = [
  bytes("on('data')", readWithData),
  bytes("on('readable')", readWithReadable),
  bytes('setEncoding', readWithEncoding),
  bytes('for await', readWithForAwait),
  bytes('pipe', (req) => buffer(req.pipe(new PassThrough()))),
  bytes('pipeline', readWithPipeline),
  bytes('stream/consumers', (req) => buffer(req)),
  bytes('Readable.toWeb', async (req) =>
    Buffer.from(await new UndiciResponse(Readable.toWeb(req)).arrayBuffer()),
  ),
]

function readWithData(req: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    req.on('data', (chunk: Buffer) => chunks.push(chunk))
    req.on('end', () => resolve(Buffer.concat(chunks)))
    req.on('error', reject)
  })
}

function readWithReadable(req: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    req.on('readable', () => {
      for (let chunk = req.read() as Buffer | null; chunk !== null; chunk = req.read() as Buffer | null) {
        chunks.push(chunk)
      }
    })
    req.on('end', () => resolve(Buffer.concat(chunks)))
    req.on('error', reject)
  })
}

async function readWithEncoding(req: IncomingMessage): Promise<string> {
  let text = ''
  req.setEncoding('utf8')
  req.on('data', (chunk: string) => {
    text += chunk
  })
  await once(req, 'end')
  return text
}

async function readWithForAwait(req: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of req) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** Into a destination slower than the client. */
async function readWithPipeline(req: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  await pipeline(
    req,
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        chunks.push(chunk)
        setImmediate(done)
      },
    }),
  )
  return Buffer.concat(chunks)
}
