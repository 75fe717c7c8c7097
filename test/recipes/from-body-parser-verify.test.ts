import { createHmac } from 'node:crypto'
import { expect } from 'chai'
import express from 'express'
import '../support/recipes/example-secrets.js'
import { app } from '../../.recipes/from-body-parser-verify.js'
import { closeServers, serve } from '../support/servers/servers.js'

function sign(body: string): string {
  return createHmac('sha256', 'sesame').update(body).digest('hex')
}

describe("recipe: migrate from body-parser's verify", () => {
  let url: string

  beforeEach(async () => {
    ;({ url } = await serve(app))
  })
  afterEach(closeServers)

  function post(body: string, type: string, signature = sign(body), client = 'ada'): Promise<Response> {
    const headers = { 'Content-Type': type, 'X-Signature': signature, 'X-Client': client }
    return fetch(`${url}/orders`, { method: 'POST', body, headers })
  }

  const bodies = {
    'application/json': ['{ "id" : 1 }', { id: 1 }],
    'application/x-www-form-urlencoded': ['id=1', { id: '1' }],
    'text/plain': ['one', 'one'],
  } as const

  for (const [type, [body, parsed]] of Object.entries(bodies)) {
    it(`checks and then parses ${type}`, async () => {
      expect(await (await post(body, type)).json()).to.deep.equal({ taken: parsed })
      expect((await post(body, type, sign('other'))).status).to.equal(403)
    })
  }

  it('refuses a client without a key', async () => {
    expect((await post('{}', 'application/json', sign('{}'), 'eve')).status).to.equal(403)
  })

  it('checks a body of a type that verify never sees, and a request without a body', async () => {
    expect((await post('{}', 'application/x-unknown', sign('x'))).status).to.equal(403)
    expect((await fetch(`${url}/orders`)).status).to.equal(403)
    let seen = 0
    const before = express().use(express.json({ verify: () => void seen++ }), (_req, res) => res.end())
    const other = await serve(before)
    const headers = { 'Content-Type': 'application/x-unknown' }
    expect((await fetch(other.url, { method: 'POST', body: '{}', headers })).status).to.equal(200)
    expect((await fetch(other.url)).status).to.equal(200)
    expect(seen).to.equal(0)
  })
})
