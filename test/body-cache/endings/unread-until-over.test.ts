import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { expect } from 'chai'
import multer from 'multer'
import rawBody from 'raw-body'
import { bodyCache } from 'sluiceway/body-cache'
import { asChunk, lastChunk, RawClient } from '../../support/clients/raw-client.js'
import { type Handler, hosts } from '../../support/express/hosts.js'
import { closeServers, serve } from '../../support/servers/servers.js'
import { deferred } from '../../support/time/deferred.js'
import { until } from '../../support/time/until.js'
import { waitFor } from '../../support/time/waiting.js'

/*
 * Code takes a request that closes before its end for one whose client has left: `if (!req.complete)`, and
 * `if (!req.readableEnded)`. Node closes a request that was answered unread when it has discarded the body.
 */

const head = (...lines: readonly string[]): string =>
  ['POST / HTTP/1.1', 'Host: a', ...lines, '\r\n'].join('\r\n')

const LENGTH = head('Content-Length: 6')

/** What is sent before the answer, and after it. */
const bodies: Record<string, readonly [string, string]> = {
  'all in one packet': [`${LENGTH}abcdef`, ''],
  'the rest after the answer': [`${LENGTH}abc`, 'def'],
  'all of it after the answer': [LENGTH, 'abcdef'],
  'the last chunk after the answer': [
    head('Transfer-Encoding: chunked') + asChunk('abcdef').toString(),
    lastChunk,
  ],
}

/** Listens for the end of a request, and answers it unread. */
function answerUnread(heard: string[], over: () => void): Handler {
  return (req, res) => {
    const note = (event: string): void =>
      void heard.push(
        `${event}, ${req.readableEnded ? 'read' : 'not read'}, ${req.complete ? 'whole' : 'cut'}`,
      )
    req.on('end', () => note('end'))
    req.on('close', () => {
      note('close')
      setImmediate(over)
    })
    res.end('unread')
  }
}

for (const { name, mount } of hosts) {
  describe(`bodyCache on ${name}, when a request is answered unread`, () => {
    afterEach(closeServers)

    async function eventsOf(before: readonly Handler[], [early, late]: readonly [string, string]) {
      const heard: string[] = []
      const over = deferred()
      const { port } = await serve(mount(...before, answerUnread(heard, over.resolve)))
      const client = await RawClient.connect(port)
      client.write(early)
      await client.response()
      heard.push('answered')
      if (late !== '') client.write(late)
      await waitFor("'close' of the request", over.promise)
      client.destroy()
      // In one packet, the end comes with the answer.
      return late === '' ? heard.filter((event) => event !== 'answered') : heard
    }

    for (const [when, sent] of Object.entries(bodies)) {
      it(`closes the request as Node does: ${when}`, async () => {
        const expected = await eventsOf([], sent)
        expect(expected.at(-1)).to.equal('close, read, whole')
        expect(await eventsOf([bodyCache()], sent)).to.deep.equal(expected)
      })
    }

    for (const [when, sent] of Object.entries(bodies)) {
      it(`is not held by the parser of an idle connection: ${when}`, async () => {
        const { port, connections } = await serve(mount(bodyCache(), (_req, res) => res.end('unread')))
        const client = await RawClient.connect(port)
        client.write(sent[0])
        await client.response()
        client.write(sent[1])
        const { parser } = connections[0] as unknown as { parser: { incoming: unknown } }
        await until(() => parser.incoming === null, 'the parser to forget the request')
        expect(connections[0]!.destroyed).to.equal(false)
        client.destroy()
      })
    }

    it('closes the request with its connection if the rest never comes', async () => {
      const heard: string[] = []
      const over = deferred()
      const { port } = await serve(mount(bodyCache(), answerUnread(heard, over.resolve)))
      const client = await RawClient.connect(port)
      client.write(`${LENGTH}abc`)
      await client.response()
      expect(heard).to.deep.equal([])
      client.destroy()
      await waitFor("'close' of the request", over.promise)
      expect(heard).to.deep.equal(['close, not read, cut'])
    })

    it("does not report 'end' to code that waits for it behind a reader that has stopped", async () => {
      const heard: string[] = []
      const over = deferred()
      const stop: Handler = (req, _res, next) => void req.once('data', () => next(void req.pause()))
      const { port } = await serve(mount(bodyCache(), stop, answerUnread(heard, over.resolve)))
      const client = await RawClient.connect(port)
      client.write(`${LENGTH}abc`)
      await client.response()
      client.write('def')
      await waitFor("'close' of the request", over.promise)
      expect(heard).to.deep.equal(['close, read, whole'])
      client.destroy()
    })

    it('gives a later reader an error, and not an empty body, if the last byte came with the head', async () => {
      const answered = deferred<IncomingMessage>()
      const answer: Handler = (req, res) => {
        answered.resolve(req)
        res.end('unread')
      }
      const { port } = await serve(mount(bodyCache(), answer))
      const client = await RawClient.connect(port)
      client.write(`${LENGTH}abcdef`)
      await client.response()
      const late = await rawBody(await answered.promise).catch((error: { code: string }) => error.code)
      expect(late).to.equal('ERR_SLUICEWAY_BODY_RELEASED')
      client.destroy()
    })

    if (name === 'bare http') return

    it('lets multer refuse a form without a boundary once, and serves the next request', async () => {
      let errors = 0
      const answerError = (
        _error: unknown,
        _req: IncomingMessage,
        res: { end(text: string): void },
        _next: unknown,
      ): void => {
        errors += 1
        res.end('refused')
      }
      const answer: Handler = (_req, res) => res.end('served')
      const app = mount(
        bodyCache(),
        multer().none() as unknown as Handler,
        answerError as unknown as Handler,
        answer,
      )
      const { port, connections } = await serve(app)
      const client = await RawClient.connect(port)
      client.write(head('Content-Type: multipart/form-data', 'Content-Length: 6'), 'abcdef')
      expect(String((await client.response()).body)).to.equal('refused')
      client.request('GET', '/')
      expect(String((await client.response()).body)).to.equal('served')
      expect([errors, connections.length]).to.deep.equal([1, 1])
      client.destroy()
      await once(connections[0]!, 'close')
    })
  })
}
