import { spawn } from 'node:child_process'
import { once } from 'node:events'
import http2, { type ClientHttp2Stream, type Http2ServerResponse, type IncomingHttpHeaders } from 'node:http2'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import { pipeChild } from 'sluiceway'
import { observing } from '../support/observed.js'
import { closeServers, listen } from '../support/servers/servers.js'

/** Pushes the output of a command, and answers with how it ended. */
function push(res: Http2ServerResponse, command: string): void {
  res.createPushResponse({ ':path': '/pushed' }, (_error, pushed) => {
    pipeChild(pushed as never, spawn('sh', ['-c', command])).then(
      ({ code }) => res.end(`exit ${code}`),
      (error: unknown) => res.end(String(error)),
    )
  })
}

describe('pipeChild into a response that is pushed over HTTP/2', () => {
  const observer = observing()
  afterEach(closeServers)

  async function ask(command: string): Promise<[answer: string, status: unknown, pushed: string]> {
    const server = http2.createServer((_req, res) => push(res, command))
    const { port } = await listen(server as never)
    const session = http2.connect(`http://127.0.0.1:${port}`)
    const came = once(session, 'stream') as Promise<[ClientHttp2Stream]>
    const answer = text(session.request())
    const [stream] = await came
    const head = once(stream, 'push') as Promise<[IncomingHttpHeaders]>
    const pushed = text(stream)
    const [{ ':status': status }] = await head
    const all: [string, unknown, string] = [await answer, status, await pushed]
    session.destroy()
    return all
  }

  it('sends the output, and resolves with the exit', async () => {
    expect(await ask('echo one; echo two >&2; exit 3')).to.deep.equal(['exit 3', 200, 'one\ntwo\n'])
  })

  it('tells subscribers nothing of it: it has no request', async () => {
    const told = observer.messages('sluiceway:child:exit')
    expect(await ask('echo one')).to.deep.equal(['exit 0', 200, 'one\n'])
    expect(told).to.deep.equal([])
  })
})
