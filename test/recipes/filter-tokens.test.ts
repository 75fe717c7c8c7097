import type { RequestListener } from 'node:http'

import { expect } from 'chai'
import type { Express } from 'express'

import { asChunk, lastChunk, RawClient } from '../support/raw-client.js'
import { answer, scriptedUpstream, type ScriptedUpstream } from '../support/scripted-upstream.js'
import { closeServers, serve } from '../support/servers.js'

const stream =
  'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n'

const token = (content: string): string =>
  `data: ${JSON.stringify({ choices: [{ delta: { content }, finish_reason: null }] })}\n\n`

describe("recipe: a filter for a language model's tokens", () => {
  let app: Express
  let upstream: ScriptedUpstream
  let client: RawClient

  before(async () => {
    upstream = await scriptedUpstream()
    process.env['UPSTREAM'] = upstream.url
    ;({ app } = await import('../../.recipes/filter-tokens.js'))
    app.set('env', 'test')
    delete process.env['UPSTREAM']
  })
  beforeEach(async () => {
    client = await RawClient.connect((await serve(app as RequestListener)).port)
  })
  afterEach(() => client.destroy())
  after(closeServers)

  it('masks each token before the next one comes, also across chunks and in the middle of a character', async () => {
    client.request('POST', '/v1/chat/completions', {}, '{"stream":true}')
    const connection = await upstream.connection()
    connection.write(stream)
    connection.write(asChunk(': hello\n\n'))
    await client.untilText(': hello\n\n')
    for (const [sent, seen] of [
      ['account ', 'account '],
      ['12345', '*****'],
      ['schön 7', 'schön *'],
    ] as const) {
      const event = Buffer.from(token(sent))
      const middle = event.indexOf('ö') + 1 || 20
      connection.write(asChunk(event.subarray(0, middle)))
      connection.write(asChunk(event.subarray(middle)))
      await client.until((bytes) => (bytes.includes(`"content":"${seen}"`) ? true : undefined), seen)
    }
    connection.write(asChunk('data: [DONE]\n\n'), lastChunk)
    await client.untilText('data: [DONE]\n\n')
    await client.untilText(lastChunk)
  })

  it('ends the answer properly at a word, and leaves the model', async () => {
    client.request('POST', '/v1/chat/completions', {}, '{"stream":true}')
    const connection = await upstream.connection()
    connection.write(stream)
    connection.write(asChunk(token('This is ') + token('confidential') + token('secret')))
    const { body } = await client.response()
    expect(body.toString())
      .to.include('"finish_reason":"content_filter"')
      .and.to.match(/data: \[DONE\]\n\n$/)
      .and.not.match(/confidential|secret/)
    await connection.closed()
  })

  it('cuts the client off at an event that is no JSON', async () => {
    client.request('POST', '/v1/chat/completions', {}, '{"stream":true}')
    const connection = await upstream.connection()
    connection.write(stream)
    connection.write(asChunk(token('good')))
    await client.untilText('good')
    connection.write(asChunk('data: {broken\n\n'))
    await client.closed()
    expect(client.pending.toString()).not.to.include(lastChunk)
  })

  it('passes on an answer that is no stream', async () => {
    client.request('POST', '/v1/chat/completions', {}, '{}')
    ;(await upstream.connection()).write(
      answer('{"n":12345}', 'Content-Type: application/json\r\nConnection: close\r\n'),
    )
    expect((await client.response()).body.toString()).to.equal('{"n":12345}')
  })
})
