import { expect } from 'chai'
import { app } from '../../.recipes/server-sent-events.js'
import { nextLine, requestLines, type DecodedLines } from '../support/clients/decoded-lines.js'
import { RawClient } from '../support/clients/raw-client.js'
import { hasNginx, Nginx } from '../support/servers/nginx.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { noteWait } from '../support/time/waiting.js'

describe('recipe: server-sent events', () => {
  afterEach(closeServers)

  it('delivers each event, compressed, before the next one is sent', async () => {
    const { url } = await serve(app)
    await followsEachEvent(url, url)
  })

  it('does so behind a default nginx', async function () {
    if (!hasNginx()) this.skip()
    const { url, port } = await serve(app)
    const nginx = await Nginx.before(port)
    try {
      await followsEachEvent(nginx.url, url)
    } finally {
      await nginx.stop()
    }
  })

  it('sends the events that a client has missed while it was away', async () => {
    const { url } = await serve(app)
    const first = await requestLines(`${url}/events`)
    await nextEvent(first)
    await send(url, 'seen')
    const { id } = await nextEvent(first)
    first.response.destroy()
    await send(url, 'missed')
    const back = await requestLines(`${url}/events`, { 'Last-Event-ID': String(id) })
    await nextEvent(back)
    expect(await nextEvent(back)).to.deep.equal({
      id: String(Number(id) + 1),
      event: 'message',
      data: '{"word":"missed"}',
    })
    back.response.destroy()
  })

  it('cuts off only the client that does not read', async () => {
    const { url, port, connections } = await serve(app)
    const stuck = await RawClient.connect(port)
    stuck.request('GET', '/events')
    await stuck.untilText('retry: 2000\n\n')
    stuck.socket.pause()
    const isCutOff = (): boolean => connections[0]!.destroyed
    const reader = await requestLines(`${url}/events`)
    await nextEvent(reader)
    const isOver = noteWait(() => 'the client that does not read to be cut off')
    while (!isCutOff()) {
      await send(url, 'x'.repeat(50_000))
      await nextEvent(reader)
    }
    isOver()
    stuck.destroy()
    reader.response.destroy()
  })
})

/** Follows the events at one address while they are posted to another. */
async function followsEachEvent(url: string, sendTo: string): Promise<void> {
  const listener = await requestLines(`${url}/events`)
  expect(listener.response.headers['content-encoding']).to.equal('gzip')
  expect(await nextEvent(listener)).to.deep.equal({ retry: '2000' })
  for (const word of ['one', 'two', 'three']) {
    await send(sendTo, word)
    expect(await nextEvent(listener)).to.include({ event: 'message', data: `{"word":"${word}"}` })
  }
  listener.response.destroy()
}

/** The fields of the next event. */
async function nextEvent(lines: DecodedLines): Promise<Record<string, string>> {
  const fields: Record<string, string> = {}
  for (let line = await nextLine(lines); line !== ''; line = await nextLine(lines)) {
    const [name = '', value = ''] = line.split(': ', 2)
    fields[name] = value
  }
  return fields
}

async function send(url: string, word: string): Promise<void> {
  const headers = { 'Content-Type': 'application/json', Connection: 'close' }
  const { status } = await fetch(`${url}/events`, {
    method: 'POST',
    body: JSON.stringify({ word }),
    headers,
  })
  expect(status).to.equal(202)
}
