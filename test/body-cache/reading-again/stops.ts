import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { PassThrough, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import rawBody from 'raw-body'

/** Ways to stop in the middle of a body, and the events that the reader gets. */
export const stops: readonly (readonly [string, (req: IncomingMessage) => Promise<string>])[] = [
  ["break out of 'for await'", breakOut],
  ['throw out of it', throwOut],
  ['a pipeline whose disk is full', fillDisk],
  ['unpipe()', takeAChunkAndUnpipe],
  ['a listener that leaves and pause()s', takeAChunkAndPause],
  ['a destination that is destroyed', destroyDestination],
  ["a parser's limit", async (req) => rawBody(req, { limit: 1 }).then(String, reasonOf)],
  ['destroying a stream of req.bodyCache', destroyStream],
]

const reasonOf = (error: Error): string => error.message

async function breakOut(req: IncomingMessage): Promise<string> {
  for await (const chunk of req) return String(chunk)
  return 'nothing'
}

function throwOut(req: IncomingMessage): Promise<string> {
  const read = async (): Promise<string> => {
    for await (const chunk of req) throw new Error(`no ${String(chunk)}`)
    return 'nothing'
  }
  return read().catch(reasonOf)
}

/** Reads into a destination that fails. */
export async function fillDisk(req: IncomingMessage): Promise<string> {
  const disk = new Writable({ write: (_chunk, _encoding, done) => done(new Error('disk full')) })
  return pipeline(req, disk).then(() => 'written', reasonOf)
}

async function takeAChunkAndUnpipe(req: IncomingMessage): Promise<string> {
  const destination = req.pipe(new PassThrough())
  const [chunk] = (await once(destination, 'data')) as [Buffer]
  req.unpipe(destination)
  return String(chunk)
}

/** Pauses at once: a pause after the end of the body would affect the next reader, which would have to resume. */
function takeAChunkAndPause(req: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    req.once('error', reject).once('data', (chunk: Buffer) => {
      req.pause()
      req.off('error', reject)
      resolve(String(chunk))
    })
  })
}

async function destroyDestination(req: IncomingMessage): Promise<string> {
  const destination = req.pipe(new PassThrough())
  const closed = new Promise((resolve) => void destination.once('close', resolve))
  const [chunk] = (await once(destination, 'data')) as [Buffer]
  destination.destroy()
  await closed
  return String(chunk)
}

async function destroyStream(req: IncomingMessage): Promise<string> {
  const stream = req.bodyCache.stream()
  const [chunk] = (await once(stream, 'data')) as [Buffer]
  stream.destroy()
  return String(chunk)
}
