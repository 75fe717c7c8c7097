import { once } from 'node:events'
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import compression from 'compression'
import { type Request, type RequestHandler, Router } from 'express'
import { autoFlush, maxBytes, passthroughProxy } from 'sluiceway'
import type { Trace, Traces } from '../traces.js'

const words = ['one', 'POST,', 'words', 'both', 'ways']
const pauseMs = 8

/** One POST whose words are answered while it is still being sent: through limit, flush and proxy to the upstream. */
export function duplexRoutes(traces: Traces, upstream: string): Router {
  /** A browser cannot do this over HTTP/1.1, so this server is the client too, over a real connection to itself. */
  const runClient: RequestHandler = async (req, res) => {
    const client = openPost(req)
    res.once('close', () => client.destroy())
    res.json({ answers: await talk(client, traces.of(req)) })
  }
  const passOn = passthroughProxy(upstream, {
    onRequest: (outgoing, req) => traces.of(req).note('gateway', 'asked'),
    onResponse: (incoming, req) => traces.of(req).note('gateway', 'heard'),
  })
  const routes = Router()
  routes.post('/run', runClient)
  routes.post('/shout', maxBytes('1mb'), compression(), autoFlush(), passOn)
  return routes
}

function openPost({ socket, originalUrl }: Request): ClientRequest {
  const { localAddress: host, localPort: port } = socket
  const path = originalUrl.replace('/run', '/shout')
  const client = request({ host, port, path, method: 'POST', agent: false } as const)
  return client
}

/** Sends each word once the answer to the one before has come. */
async function talk(client: ClientRequest, trace: Trace): Promise<string[]> {
  const answers: string[] = []
  let lines: AsyncIterator<string, undefined> | undefined
  for (const word of words) {
    trace.note('client', 'sent', { word })
    client.write(`${word}\n`)
    lines ??= await answerLines(client)
    const { value = '' } = await lines.next()
    trace.note('client', 'received', { word: value })
    answers.push(value)
    await sleep(pauseMs)
  }
  client.end()
  await lines?.next()
  trace.note('client', 'done')
  return answers
}

async function answerLines(client: ClientRequest): Promise<AsyncIterator<string, undefined>> {
  const [response] = (await once(client, 'response')) as [IncomingMessage]
  return createInterface({ input: response })[Symbol.asyncIterator]()
}
