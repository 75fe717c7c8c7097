import compression from 'compression'
import express, { type Response } from 'express'
import { autoFlush, type AutoFlushOptions } from 'sluiceway'
import { type Coding, StreamingClient } from '../support/clients/streaming-client.js'
import { serve } from '../support/servers/servers.js'
import { waitFor } from '../support/time/waiting.js'

/** One event stream, at both ends. */
export interface OpenEventStream {
  readonly res: Response
  readonly client: StreamingClient
}

/** Opens an event stream whose head and first comment have been sent. */
export async function open(
  options: AutoFlushOptions,
  coding: Coding = 'identity',
  prepare: (res: Response) => void = () => {},
): Promise<OpenEventStream> {
  const app = express()
  app.use(autoFlush(options), compression())
  const handled = new Promise<Response>((resolve) => {
    app.get('/', (_req, res) => {
      res.type('text/event-stream')
      prepare(res)
      res.write(':\n\n')
      resolve(res)
    })
  })
  const { url } = await serve(app)
  const [client, res] = await Promise.all([
    StreamingClient.get(url, coding),
    waitFor('the app to be asked', handled),
  ])
  return { res, client }
}

/** Waits until another stream has had three heartbeats: a timer that was set earlier would have fired as often. */
export async function severalBeats(): Promise<void> {
  const { client } = await open({ heartbeatMs: 20 })
  await client.received(':\n\n:\n\n:\n\n:\n\n')
  client.leave()
}
