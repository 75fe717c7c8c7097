import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { expect } from 'chai'
import { attach } from 'sluiceway'
import { message } from '../support/clients/pipelined.js'
import { RawClient } from '../support/clients/raw-client.js'
import { closeServers, listen } from '../support/servers/servers.js'

/** Answers with the path and the body; `/slow` is answered late. */
async function echo(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const body = await buffer(req)
  if (req.url === '/slow') await new Promise((resolve) => setTimeout(resolve, 10))
  res.end(`${req.url} ${String(body)}`)
}

describe('attach with Expect: 100-continue, as bare Node', () => {
  afterEach(closeServers)

  /** All that comes back until the connection closes, without dates. */
  async function answerTo(withAttach: boolean, bytes: string): Promise<string> {
    const app: RequestListener = (req, res) => {
      echo(req, res).then(undefined, () => req.socket.destroy())
    }
    const server = createServer(app)
    if (withAttach) attach(server, app)
    const client = await RawClient.connect((await listen(server)).port)
    client.write(bytes)
    await client.closed()
    return String(client.pending).replaceAll(/Date: .*\r\n/g, '')
  }

  const slow = message('GET /slow HTTP/1.1', 'Host: test')
  const last = message('GET /last HTTP/1.1', 'Host: test', 'Connection: close')

  function expecting(...lines: readonly string[]): string {
    return `${message('POST / HTTP/1.1', 'Host: test', 'Content-Length: 4', 'Expect: 100-continue', ...lines)}body`
  }

  for (const [what, bytes] of [
    ['behind a response in progress', slow + expecting() + last],
    ['twice behind a response in progress', slow + expecting() + expecting() + last],
    ['twice in one head', expecting('Expect: 100-continue') + last],
    ['in other letters', expecting().replace('100-continue', '100-Continue') + last],
    ['with HTTP/1.0', `${message('POST / HTTP/1.0', 'Content-Length: 4', 'Expect: 100-continue')}body`],
    ['without a body', message('GET / HTTP/1.1', 'Host: test', 'Expect: 100-continue') + last],
    [
      'without a body to come',
      expecting().replace('Content-Length: 4', 'Content-Length: 0').slice(0, -4) + last,
    ],
    ['beside another expectation', expecting('Expect: more') + last],
  ] as const) {
    it(`sends the same bytes for an expectation ${what}`, async () => {
      expect(await answerTo(true, bytes)).to.equal(await answerTo(false, bytes))
    })
  }

  for (const isWritten of [false, true]) {
    it(`sends the 100 of a response that waits for its turn before its head${isWritten ? ', even if that was written before' : ''}`, async () => {
      const app: RequestListener = (req, res) => {
        if (req.method === 'GET') {
          setTimeout(() => res.end(req.url), 20)
          return
        }
        if (isWritten) res.writeHead(200)
        req.on('end', () => res.end(Buffer.from('bytes'))).on('data', () => {})
      }
      const server = createServer(app)
      attach(server, app)
      const client = await RawClient.connect((await listen(server)).port)
      client.write(slow, expecting(), last)
      await client.closed()
      const lines = String(client.pending).match(/HTTP\/1.1 \d+|\/slow|bytes|\/last/g)
      expect(lines).to.deep.equal([
        'HTTP/1.1 200',
        '/slow',
        'HTTP/1.1 100',
        'HTTP/1.1 200',
        'bytes',
        'HTTP/1.1 200',
        '/last',
      ])
    })
  }

  it('sends the same bytes for an upgrade with a body, which is a plain request', async () => {
    const plain = slow + expecting() + last
    const upgrade = slow + expecting('Connection: Upgrade', 'Upgrade: websocket') + last
    expect(await answerTo(true, upgrade)).to.equal(await answerTo(false, plain))
  })
})
