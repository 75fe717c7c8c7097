import { expect } from 'chai'
import { asChunk, lastChunk } from '../support/clients/raw-client.js'
import { answer } from '../support/servers/scripted-upstream.js'
import { proxiedRecipe } from './proxied-recipe.js'

const stream =
  'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n'

const token = (content: string): string =>
  `data: ${JSON.stringify({ choices: [{ delta: { content }, finish_reason: null }] })}\n\n`

describe("recipe: a filter for a language model's tokens", () => {
  const recipe = proxiedRecipe(async () => import('../../.recipes/filter-tokens.js'))

  it('masks each token before the next one comes, also across chunks and in the middle of a character', async () => {
    recipe.client.request('POST', '/v1/chat/completions', {}, '{"stream":true}')
    const connection = await recipe.upstream.connection()
    connection.write(stream)
    connection.write(asChunk(': hello\n\n'))
    await recipe.client.untilText(': hello\n\n')
    for (const [sent, seen] of [
      ['account ', 'account '],
      ['12345', '*****'],
      ['schön 7', 'schön *'],
    ] as const) {
      const event = Buffer.from(token(sent))
      const middle = event.indexOf('ö') + 1 || 20
      connection.write(asChunk(event.subarray(0, middle)))
      connection.write(asChunk(event.subarray(middle)))
      await recipe.client.until((bytes) => (bytes.includes(`"content":"${seen}"`) ? true : undefined), seen)
    }
    connection.write(asChunk('data: [DONE]\n\n'), lastChunk)
    await recipe.client.untilText('data: [DONE]\n\n')
    await recipe.client.untilText(lastChunk)
  })

  for (const [what, event] of [
    ['with CR LF', token('pin 1234').replaceAll('\n', '\r\n')],
    ['without a space before its data', token('pin 1234').replace('data: ', 'data:')],
  ] as const) {
    it(`masks an event ${what}`, async () => {
      recipe.client.request('POST', '/v1/chat/completions', {}, '{"stream":true}')
      const connection = await recipe.upstream.connection()
      connection.write(stream)
      for (const byte of event) connection.write(asChunk(byte))
      await recipe.client.untilText('"content":"pin ****"')
      connection.destroy()
    })
  }

  it('does not send half an event at the end, which it has not filtered', async () => {
    recipe.client.request('POST', '/v1/chat/completions', {}, '{"stream":true}')
    const connection = await recipe.upstream.connection()
    connection.write(stream)
    connection.write(asChunk(token('good') + token('pin 1234').trimEnd()), lastChunk)
    const { body } = await recipe.client.response()
    expect(body.toString()).to.include('good').and.not.include('1234')
  })

  it('passes an error of the model on', async () => {
    recipe.client.request('POST', '/v1/chat/completions', {}, '{"stream":true}')
    const connection = await recipe.upstream.connection()
    connection.write(stream)
    connection.write(asChunk('data: {"error":{"message":"overloaded"}}\n\n'), lastChunk)
    expect((await recipe.client.response()).body.toString()).to.equal(
      'data: {"error":{"message":"overloaded"}}\n\n',
    )
  })

  it('ends the answer properly at a word, and leaves the model', async () => {
    recipe.client.request('POST', '/v1/chat/completions', {}, '{"stream":true}')
    const connection = await recipe.upstream.connection()
    connection.write(stream)
    connection.write(asChunk(token('This is ') + token('confidential') + token('secret')))
    const { body } = await recipe.client.response()
    expect(body.toString())
      .to.include('"finish_reason":"content_filter"')
      .and.to.match(/data: \[DONE\]\n\n$/)
      .and.not.match(/confidential|secret/)
    await connection.closed()
  })

  it('cuts the client off at an event that is no JSON', async () => {
    recipe.client.request('POST', '/v1/chat/completions', {}, '{"stream":true}')
    const connection = await recipe.upstream.connection()
    connection.write(stream)
    connection.write(asChunk(token('good')))
    await recipe.client.untilText('good')
    connection.write(asChunk('data: {broken\n\n'))
    await recipe.client.closed()
    expect(recipe.client.pending.toString()).not.to.include(lastChunk)
  })

  it('passes on an answer that is not a stream', async () => {
    recipe.client.request('POST', '/v1/chat/completions', {}, '{}')
    ;(await recipe.upstream.connection()).write(
      answer('{"n":12345}', 'Content-Type: application/json\r\nConnection: close\r\n'),
    )
    expect((await recipe.client.response()).body.toString()).to.equal('{"n":12345}')
  })
})
