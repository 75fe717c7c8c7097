import type { ServerResponse } from 'node:http'
import { expect } from 'chai'
import { autoFlush, maxBytes, pipeChild } from 'sluiceway'
import { spawn } from 'node:child_process'
import { type Handler, hosts } from '../support/hosts.js'
import { closed } from '../support/open-resources.js'
import { asChunk, RawClient } from '../support/raw-client.js'
import { closeServers, serve } from '../support/servers.js'
import { until } from '../support/until.js'

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
      void pipeChild(res, spawn('sh', ['-c', 'echo x; sleep 5'], { detached: true }))
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
