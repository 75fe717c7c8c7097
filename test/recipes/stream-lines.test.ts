import { expect } from 'chai'
import { app } from '../../.recipes/stream-lines.js'
import { nextLine, requestLines } from '../support/clients/decoded-lines.js'
import { closeServers, serve } from '../support/servers/servers.js'

describe('recipe: stream lines as they are made', () => {
  afterEach(closeServers)

  it('delivers each line, compressed, before the next one is published', async () => {
    const { url } = await serve(app)
    const follower = await requestLines(`${url}/lines`)
    expect(follower.response.headers['content-encoding']).to.equal('gzip')
    expect(await nextLine(follower)).to.equal('following')
    for (const line of ['one', 'two', 'three']) {
      await publish(url, line)
      expect(await nextLine(follower)).to.equal(line)
    }
    follower.response.destroy()
  })

  it('delivers a line to every client that follows', async () => {
    const { url } = await serve(app)
    const followers = await Promise.all([requestLines(`${url}/lines`), requestLines(`${url}/lines`)])
    for (const follower of followers) await nextLine(follower)
    await publish(url, 'to all')
    for (const follower of followers) {
      expect(await nextLine(follower)).to.equal('to all')
      follower.response.destroy()
    }
  })
})

async function publish(url: string, line: string): Promise<void> {
  const headers = { 'Content-Type': 'text/plain', Connection: 'close' }
  const { status } = await fetch(`${url}/lines`, { method: 'POST', body: line, headers })
  expect(status).to.equal(202)
}
