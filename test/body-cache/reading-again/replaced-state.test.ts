import type { IncomingMessage } from 'node:http'
import { PassThrough, Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { expect } from 'chai'
import { bodyCache } from 'sluiceway/body-cache'
import { maxBytes } from 'sluiceway/max-bytes'
import { type Handler, hosts } from '../../support/express/hosts.js'
import { closeServers, serve } from '../../support/servers/servers.js'

const BODY = 'x'.repeat(10_000)

/** Reads a request, leaving it open. */
function bytesOf(req: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  return new Promise((resolve) => {
    req.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => resolve(Buffer.concat(chunks)))
  })
}

/** Each reads a request and puts a stream with the same bytes in its place, as frameworks do. */
const replacements: Readonly<Record<string, (req: IncomingMessage) => Promise<void>>> = {
  'copies every member of another stream to it, like Next.js': async (req) => {
    const copy = new PassThrough()
    copy.end(await bytesOf(req))
    const members = copy as unknown as Record<string, unknown>
    for (const name in members) {
      const member = members[name]
      const given = typeof member === 'function' ? member.bind(req) : member
      Object.assign(req, { [name]: given })
    }
  },
  'makes it a Readable once more': async (req) => {
    const bytes = await bytesOf(req)
    const options = { read: () => {} }
    ;(Readable as unknown as Function).call(req, options)
    req.push(bytes)
    req.push(null)
  },
  'gives it the state of another stream': async (req) => {
    const bytes = await bytesOf(req)
    const { _readableState } = new Readable() as unknown as { _readableState: object }
    Object.assign(req, { _readableState, _read: () => {} })
    req.push(bytes)
    req.push(null)
  },
}

const answerLength: Handler = (req, res) => {
  let length = 0
  req.on('data', (chunk: Buffer) => (length += chunk.length)).on('end', () => res.end(String(length)))
}

async function post(url: string): Promise<string> {
  const answer = await fetch(url, { method: 'POST', body: BODY })
  return `${answer.status} ${await answer.text()}`
}

for (const { name, mount } of hosts) {
  describe(`a request on ${name} whose stream the application replaces`, () => {
    afterEach(closeServers)

    for (const [how, replace] of Object.entries(replacements)) {
      const replacing: Handler = async (req, _res, next) => {
        await replace(req)
        next()
      }

      it(`is read as that stream behind maxBytes, when it ${how}`, async () => {
        const { url } = await serve(mount(maxBytes('1mb'), replacing, answerLength))
        expect(await post(url)).to.equal('200 10000')
      })

      it(`gives the memory and the files of bodyCache back, when it ${how}`, async () => {
        const settings = { memory: '1kb', memoryBudget: '4kb', diskBudget: '50kb' }
        const { url } = await serve(mount(bodyCache(settings), replacing, answerLength))
        for (let i = 0; i < 10; i++) expect(await post(url)).to.equal('200 10000')
      })

      it(`is kept anew by another bodyCache behind it, when it ${how}`, async () => {
        const twice: Handler = async (req, res) => {
          const first = await buffer(req)
          const second = await buffer(req)
          res.end(`${first.length} ${second.length}`)
        }
        const { url } = await serve(mount(bodyCache(), replacing, bodyCache(), twice))
        expect(await post(url)).to.equal('200 10000 10000')
      })
    }
  })
}
