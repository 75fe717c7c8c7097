import { spawn } from 'node:child_process'
import { createServer, type RequestListener, type ServerResponse } from 'node:http'
import http2 from 'node:http2'
import { expect } from 'chai'
import { autoFlush, maxBytes, passthroughProxy, pipeChild } from 'sluiceway'
import { asChunk, RawClient } from '../support/clients/raw-client.js'
import { type Handler, hosts } from '../support/express/hosts.js'
import { closed } from '../support/process/open-resources.js'
import { closeServers, listen, serve } from '../support/servers/servers.js'
import { until } from '../support/time/until.js'

/** Replaces a method as a careless library might: it works for the first `calls`, and throws from then on. */
function breakAfter(res: ServerResponse, name: 'write' | 'end' | 'flush', calls: number): void {
  const method = res[name].bind(res) as (...args: unknown[]) => unknown
  let left = calls
  Object.assign(res, {
    [name]: (...args: unknown[]) => {
      if (left === 0) throw new Error(`${name} is broken`)
      left -= 1
      return method(...args)
    },
  })
}

const eventStream: Handler = (_req, res) => {
  res.setHeader('Content-Type', 'text/event-stream')
  breakAfter(res, 'write', 1)
  res.write('data: 1\n\n')
}

/** Sends part of a body over HTTP/2 and returns the code with which its stream is reset; 0 is an orderly end. */
async function resetCode(port: number): Promise<number> {
  const session = http2.connect(`http://127.0.0.1:${port}`)
  const stream = session.request({ ':method': 'POST' })
  stream.on('error', () => {}).resume()
  stream.write('0123456789x')
  await closed(stream)
  expect(session.destroyed).to.equal(false)
  session.destroy()
  return stream.rstCode ?? 0
}

/** A timer or an immediate of ours calls the method that throws. */
const programs: Record<string, readonly Handler[]> = {
  'a heartbeat': [autoFlush({ heartbeatMs: 10 }), eventStream],
  'a flush': [
    autoFlush(),
    (_req, res, next) => {
      res.flush = () => {}
      next()
    },
    (_req, res) => {
      res.setHeader('Content-Encoding', 'unknown')
      breakAfter(res, 'flush', 0)
      res.write('x')
    },
  ],
  'a refusal that no handler answers': [
    maxBytes({ limit: 10, lingerMs: 10 }),
    (req, res) => {
      breakAfter(res, 'end', 0)
      req.on('error', () => {}).resume()
    },
  ],
  "a child's output": [
    (_req, res) => {
      breakAfter(res, 'write', 0)
      pipeChild(res, spawn('sh', ['-c', 'echo x; sleep 5'], { detached: true })).catch(() => {})
    },
  ],
}

for (const { name, mount } of hosts) {
  describe(`a method of a response that throws, on ${name}`, () => {
    afterEach(closeServers)

    for (const [what, handlers] of Object.entries(programs)) {
      it(`ends the connection, not the process, when called by ${what}`, async () => {
        const { port, connections } = await serve(mount(...handlers))
        const client = await RawClient.connect(port)
        client.write(
          'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n',
          asChunk('0123456789x'),
        )
        await until(() => connections.length > 0)
        await closed(connections[0]!)
        expect(connections).to.have.length(1)
        client.destroy()
      })
    }
  })
}

describe('a method of a response that throws, over HTTP/2', () => {
  afterEach(closeServers)

  for (const [what, handlers] of Object.entries(programs)) {
    it(`resets its stream, and leaves the session open, when called by ${what}`, async () => {
      const server = http2.createServer(hosts[0]!.mount(...handlers) as never)
      const { port } = await listen(server as never)
      expect(await resetCode(port)).to.equal(http2.constants.NGHTTP2_INTERNAL_ERROR)
    })
  }

  it("resets it if a listener of on-finished throws after the proxy's error", async () => {
    const { port: closedPort } = await listen(createServer())
    await closeServers()
    const proxy = passthroughProxy(`http://127.0.0.1:${closedPort}`)
    const app: RequestListener = (req, res) => {
      req.on('finish', () => {
        throw new Error('a listener is broken')
      })
      proxy(req, res, () => {
        res.writeHead(200)
        res.write('a part')
      })
    }
    const { port } = await listen(http2.createServer(app as never) as never)
    expect(await resetCode(port)).to.equal(http2.constants.NGHTTP2_INTERNAL_ERROR)
  })
})
