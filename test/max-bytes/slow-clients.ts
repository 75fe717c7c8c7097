// Clients that are slow, on a clock that tests move on.
import type { IncomingMessage } from 'node:http'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { expect } from 'chai'
import express from 'express'
import { maxBytes } from 'sluiceway'
import { asChunk, lastChunk, RawClient, type RawResponse } from '../support/clients/raw-client.js'
import type { Handler } from '../support/express/hosts.js'
import { removeDirectories } from '../support/process/temporary-files.js'
import { closeServers } from '../support/servers/servers.js'
import { MockedClock } from '../support/time/mocked-clock.js'
import { turns } from '../support/time/turns.js'

export const HOUR = 3_600_000

export const CHUNKED = { 'Transfer-Encoding': 'chunked', 'Content-Type': 'application/json' }

/** 100 bytes for each second, and five seconds behind at most. */
export const limited = maxBytes({ limit: '10mb', minRate: { bytesPerSecond: 100, graceMs: 5000 } })

export const clock = new MockedClock()

/** Stops the clock for each test of the suite that calls this. */
export function stopClock(): void {
  beforeEach(() => clock.stop())
  afterEach(async () => {
    clock.restore()
    await closeServers()
    removeDirectories()
  })
}

export const echo: Handler = (req, res, next) => void text(req).then((body) => res.end(body), next)

/** Node 26 gives a chunk at a time. */
export function readAll(req: IncomingMessage): void {
  while (req.read() !== null);
}

/** Everything that can read a body, as a handler that answers when it has had all of it. */
export const readers: Readonly<Record<string, Handler>> = {
  "a listener for 'data'": (req, res, next) => {
    req
      .on('data', () => {})
      .on('end', () => res.end('read'))
      .on('error', next)
  },
  "a listener for 'readable'": (req, res, next) => {
    req
      .on('readable', () => {
        readAll(req)
      })
      .on('end', () => res.end('read'))
      .on('error', next)
  },
  'for await': echo,
  'stream/consumers behind iterator()': (req, res, next) =>
    void text(req.iterator()).then((body) => res.end(body), next),
  'a pipeline': (req, res, next) => {
    const file = new PassThrough().resume()
    pipeline(req, file).then(() => res.end('read'), next)
  },
  'a bare pipe': (req, res, next) => {
    const file = new PassThrough().resume()
    req.pipe(file).on('error', next)
    file.on('end', () => res.end('read'))
  },
  'express.json': (req, res, next) =>
    void (express.json() as Handler)(req, res, (error) =>
      error === undefined ? res.end('read') : next(error),
    ),
  'resume() without a listener for data': (req, res) => {
    req.resume().on('end', () => res.end('read'))
  },
}

export async function begin(
  port: number,
  first = '[',
  headers: Record<string, string> = CHUNKED,
): Promise<RawClient> {
  const client = await RawClient.connect(port)
  client.request('POST', '/', headers)
  if (first !== '') client.write(asChunk(first))
  await turns()
  return client
}

/** Sends so many spaces in the middle of a body, and waits until they have come. */
export async function send(client: RawClient, count: number): Promise<void> {
  client.write(asChunk(' '.repeat(count)))
  await turns()
}

export async function refusal(client: RawClient): Promise<RawResponse> {
  const response = await client.response()
  await client.closed()
  return response
}

export async function expectRefused(client: RawClient): Promise<void> {
  // Where nobody hears of the error, maxBytes answers on a timer.
  await clock.pass(0)
  const { status, headers } = await refusal(client)
  expect([status, headers['connection']]).to.deep.equal([408, ['close']])
}

/** Ends the body, and returns the status. */
export async function finish(client: RawClient, last = ']'): Promise<number> {
  client.write(asChunk(last), lastChunk)
  return (await client.response()).status
}
