import { createSession, type Session } from 'better-sse'
import { expect } from 'chai'
import compression from 'compression'
import type { Express, Response } from 'express'
import SSE from 'express-sse'
import { autoFlush } from 'sluiceway'
import { type Coding, StreamingClient } from '../support/clients/streaming-client.js'
import { expressVersions } from '../support/express/express-versions.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'

interface Opened {
  /** Sends one word as an event. */
  readonly send: (word: string) => void
  readonly end: () => void
}

/** Opens an event stream in the way of one library. */
type Library = (res: Response) => Opened | Promise<Opened>

const libraries: Record<string, Library> = {
  'express-sse 1.0': (res) => {
    const events = new SSE()
    events.init(res.req, res)
    return { send: (word) => events.send(word), end: () => res.end() }
  },
  // It forbids compression by its Cache-Control, unless told another one.
  'better-sse': async (res) => {
    const session: Session = await createSession(res.req, res, { headers: { 'Cache-Control': 'no-cache' } })
    return { send: (word) => session.push(word), end: () => res.end() }
  },
  // What is to be found in many a chat: the answer of a model, token by token.
  'a stream of tokens written by hand': (res) => {
    res.set({ 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache', Connection: 'keep-alive' })
    res.flushHeaders()
    const send = (word: string): void => {
      res.write(`data: ${JSON.stringify({ choices: [{ delta: { content: word } }] })}\n\n`)
    }
    return {
      send,
      end: () => {
        res.write('data: [DONE]\n\n')
        res.end()
      },
    }
  },
}

const words = ['Sluices', 'let', 'water', 'through']

describe('autoFlush', () => {
  for (const [library, open] of Object.entries(libraries)) {
    for (const { name, express } of expressVersions) {
      describe(`under ${library}, behind compression, on ${name}`, () => {
        afterEach(closeServers)

        for (const [order, mount] of Object.entries({
          before: () => [autoFlush(), compression()],
          after: () => [compression(), autoFlush()],
        })) {
          for (const coding of ['gzip', 'br'] as const) {
            it(`delivers each event before the next is sent: mounted ${order}, ${coding}`, async () => {
              const { client, opened } = await stream(express().use(...mount()), open, coding)
              for (const word of words) {
                opened.send(word)
                await client.received(`"${word}"`)
              }
              opened.end()
              await client.ended()
            })
          }
        }

        it('is necessary: without it nothing arrives before the end', async () => {
          const { url, client, opened } = await stream(express().use(compression()), open, 'gzip')
          for (const word of words) {
            opened.send(word)
            await fetch(`${url}/meanwhile`)
          }
          expect(client.text).to.equal('')
          opened.end()
          for (const word of words) await client.received(`"${word}"`)
        })
      })
    }
  }
})

/** Requests a stream, and opens it in the way of `library`. */
async function stream(
  app: Express,
  library: Library,
  coding: Coding,
): Promise<{ url: string; client: StreamingClient; opened: Opened }> {
  const opening = deferred<Opened | Promise<Opened>>()
  app.get('/', (_req, res) => opening.resolve(library(res)))
  const { url } = await serve(app)
  const [client, opened] = await Promise.all([StreamingClient.get(url, coding), opening.promise])
  return { url, client, opened }
}
