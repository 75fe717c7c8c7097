import { once } from 'node:events'
import { createServer, type RequestListener, ServerResponse } from 'node:http'
import { Duplex } from 'node:stream'
import { expect } from 'chai'
import { attach } from 'sluiceway'
import { kinds, upgradeTo } from '../support/clients/pipelined.js'
import { RawClient } from '../support/clients/raw-client.js'
import { closeServers, listen } from '../support/servers/servers.js'
import { waitFor } from '../support/time/waiting.js'

const UPGRADE = upgradeTo('websocket', '/')
const NONSENSE = '\x00\x01\r\n\r\n'

/** A connection that is not a socket: it has neither timeouts nor `destroySoon`. Resolves to the server's bytes at its end. */
class Connection extends Duplex {
  private received = ''

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    this.received += chunk.toString('latin1')
    callback()
  }

  /** Sends a message to the server, and waits until the server has ended its side. */
  async exchange(message: string): Promise<string> {
    this.push(message)
    await new Promise((resolve) => {
      this.once('finish', resolve)
    })
    return this.received
  }
}

class Greeting extends ServerResponse {
  greet(): void {
    this.end('hello')
  }
}

const greet: RequestListener = (_req, res) => {
  ;(res as Greeting).greet()
}

function respond(_req: unknown, res: ServerResponse): void {
  setImmediate(() => res.end('done'))
}

function connect(): Connection {
  const server = createServer(respond)
  attach(server, respond)
  const connection = new Connection()
  server.emit('connection', connection)
  return connection
}

// The test hooks fail a test during which an exception reached the process.
describe('attach on a connection that is not a socket', () => {
  it('responds to an upgrade and ends the connection', async () => {
    expect(await connect().exchange(UPGRADE)).to.match(/^HTTP\/1\.1 200 OK\r\n[^]*done$/)
  })

  it('responds to a client that has ended its half behind its upgrade, and leaves no connection open', async () => {
    const connection = connect()
    const closing = once(connection, 'close')
    const exchange = connection.exchange(`${UPGRADE}early`)
    connection.push(null)
    expect(await exchange).to.match(/done$/)
    await waitFor('the connection to close', closing)
  })

  it('responds to an upgrade behind another request', async () => {
    const received = await connect().exchange(`${kinds['slow']!('/')}${UPGRADE}`)
    expect(received.split('\r\n\r\ndone')).to.have.length(3)
  })

  it('ends the connection when the bytes after a declined upgrade begin no message', async () => {
    expect(await connect().exchange(`${kinds['h2c']!('/')}${NONSENSE}`)).to.match(
      /^HTTP\/1\.1 200 OK\r\n[^]*done$/,
    )
  })
})

describe('attach on a server with options', () => {
  afterEach(closeServers)

  it('gives the app a response for an upgrade as for any other request', async () => {
    const seen: unknown[] = []
    const app: RequestListener = (_req, res) => {
      res.statusCode = 204
      try {
        seen.push(res.write('a body'))
      } catch (error) {
        seen.push((error as NodeJS.ErrnoException).code)
      }
      res.end()
    }
    const server = createServer({ rejectNonStandardBodyWrites: true }, app)
    attach(server, app)
    const client = await RawClient.connect((await listen(server)).port)
    for (const sent of [kinds['slow']!('/'), UPGRADE]) {
      client.write(sent)
      expect((await client.response()).status).to.equal(204)
    }
    expect(seen).to.deep.equal(['ERR_HTTP_BODY_NOT_ALLOWED', 'ERR_HTTP_BODY_NOT_ALLOWED'])
  })

  it("gives an upgrade that has waited the connection with the server's timeout, not that of an idle one", async () => {
    const app: RequestListener = ({ socket }, res) => {
      const { timeout } = socket
      setImmediate(() => res.end(String(timeout)))
    }
    const server = createServer(app)
    server.timeout = 60_000
    attach(server, app)
    const client = await RawClient.connect((await listen(server)).port)
    client.write(kinds['slow']!('/'), UPGRADE)
    for (let count = 0; count < 2; count++) expect(String((await client.response()).body)).to.equal('60000')
  })
})

describe('attach on a server with its own response class', () => {
  afterEach(closeServers)

  it('gives the app a response of that class for an upgrade', async () => {
    const server = createServer({ ServerResponse: Greeting as typeof ServerResponse }, greet)
    attach(server, greet)
    const { port } = await listen(server)
    const client = await RawClient.connect(port)
    client.write(UPGRADE)
    expect(String((await client.response()).body)).to.equal('hello')
  })
})
