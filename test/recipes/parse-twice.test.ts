import { createHmac } from 'node:crypto'
import { expect } from 'chai'
import '../support/recipes/example-secrets.js'
import { app } from '../../.recipes/parse-twice.js'
import { type RawResponse, RawClient } from '../support/clients/raw-client.js'
import { closeServers, serve } from '../support/servers/servers.js'

// Spaces and a key order that JSON.stringify would not reproduce.
const body = '{ "sentAt":"2026-01-02T03:04:05Z",\n "id" : "A-1", "items":[{"quantity":2,"sku":"tea"}] }'

describe('recipe: parse a body twice', () => {
  before(() => app.set('env', 'test')) // Express logs no errors then
  afterEach(closeServers)

  it('checks the signature over the raw bytes and parses them as two types', async () => {
    const answer = await post('/orders', body, sign(body))
    expect(answer.status).to.equal(200)
    expect(JSON.parse(answer.body.toString())).to.deep.equal({ items: 1, sentAt: '2026-01-02T03:04:05.000Z' })
  })

  it("lets Express' own parser read the body after the signature check", async () => {
    const answer = await post('/parsed', body, sign(body))
    expect(JSON.parse(answer.body.toString())).to.deep.equal({ parsed: JSON.parse(body) })
  })

  it('refuses a body with one added space', async () => {
    expect(await post('/orders', body.replace('{ ', '{'), sign(body))).to.include({ status: 401 })
  })

  it('answers 400 if the body does not match the schema', async () => {
    const wrong = body.replace('2,', '"two",')
    expect(await post('/orders', wrong, sign(wrong))).to.include({ status: 400 })
  })
})

function sign(text: string): string {
  return createHmac('sha256', 'sesame').update(text).digest('hex')
}

async function post(path: string, text: string, signature: string): Promise<RawResponse> {
  const { port } = await serve(app)
  const client = await RawClient.connect(port)
  client.request('POST', path, { 'Content-Type': 'application/json', 'X-Signature': signature }, text)
  const response = await client.response()
  client.destroy()
  return response
}
