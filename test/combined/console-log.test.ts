import { inspect } from 'node:util'
import { expect } from 'chai'
import express from 'express'
import { bodyCache, passthroughProxy } from 'sluiceway'
import { closeServers, serve } from '../support/servers/servers.js'

/** The server behind the proxy. */
async function echo(): Promise<string> {
  const app = express().use(express.text({ type: () => true }))
  app.use((req, res) => void res.set('X-Here', 'yes').send(req.body))
  return (await serve(app)).url
}

describe('console.log in a program', () => {
  afterEach(closeServers)

  it('shows what a hook may change, and no sockets', async () => {
    const shown: string[] = []
    const proxy = passthroughProxy(await echo(), {
      onRequest(outgoing) {
        shown.push(inspect(outgoing))
        outgoing.body = 'other'
        shown.push(inspect(outgoing))
      },
      onResponse: (incoming) => void shown.push(inspect(incoming)),
    })
    const { url } = await serve(express().use(proxy))
    await fetch(`${url}/x`, { method: 'POST', body: 'text' })
    const [outgoing = '', changed = '', incoming = ''] = shown
    expect(outgoing)
      .to.match(/^{\s+method: 'POST',\s+path: '\/x',\s+headers: HeaderList {\s+lines: \[/)
      .and.match(/body: 'a stream'\s+}$/)
    expect(changed).to.match(/body: 'other'\s+}$/)
    expect(incoming)
      .to.match(/^{\s+statusCode: 200,\s+statusMessage: 'OK',\s+headers: HeaderList {/)
      .and.match(/'X-Here',\s+'yes'/)
    for (const each of shown) expect(each).not.to.contain('Socket')
  })

  it('shows how much of a body has come', async () => {
    const app = express().use(bodyCache())
    app.use(async (req, res) => {
      await req.bodyCache.buffer()
      res.send(inspect(req.bodyCache))
    })
    const { url } = await serve(app)
    const answer = await fetch(url, { method: 'POST', body: 'text' })
    expect(await answer.text()).to.equal('{ complete: true, size: 4 }')
  })
})
