import { expect } from 'chai'
import { type Installed, packedPackage } from '../support/repository/packed.js'

/** A CommonJS application and an ES module in it load two copies of the package, which must work as one. */
const program = `
import http from 'node:http'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import express from 'express'
import WebSocket, { WebSocketServer } from 'ws'
import * as esm from 'sluiceway'

const cjs = createRequire(import.meta.url)('sluiceway')
const results = { differ: esm.bodyCache !== cjs.bodyCache }

const upstream = http.createServer((req, res) => req.pipe(res))
new WebSocketServer({ server: upstream }).on('connection', (socket) => socket.on('message', (data) => socket.send(data)))
const target = await listen(upstream)

for (const [name, one, other] of [['esm first', esm, cjs], ['cjs first', cjs, esm]]) {
  const app = express()
  app.set('env', 'test')
  app.use(one.maxBytes('10kb'), other.bodyCache(), one.bodyCache())
  app.post('/buffer', async (req, res) => res.end(await req.bodyCache.buffer()))
  app.use(express.json())
  app.use(one.passthroughProxy(target))
  app.use((error, req, res, next) => {
    res.status(error.status).json({ known: one.isSluicewayError(error) && other.isSluicewayError(error), code: error.code })
  })
  const server = http.createServer(app)
  other.attach(server, app)
  const url = await listen(server)

  const body = '{ "spaces" :  "kept" }'
  const headers = { 'Content-Type': 'application/json' }
  const echoed = await fetch(url, { method: 'POST', body, headers })
  const refused = await fetch(url, { method: 'POST', body: inChunks(20), headers, duplex: 'half' })
  const socket = new WebSocket(url.replace('http', 'ws'))
  await once(socket, 'open')
  socket.send('over both copies')
  const [message] = await once(socket, 'message')
  socket.close()
  results[name] = {
    invited: await sendWhenInvited(url + '/buffer', body),
    echoed: (await echoed.text()) === body,
    refused: [refused.status, await refused.json()],
    message: String(message),
  }
}
console.log(JSON.stringify(results))
process.exit()

/** Sends the body after '100 Continue', which is sent when a reader begins. */
async function sendWhenInvited(url, body) {
  const request = http.request(url, { method: 'POST', agent: false, headers: { Expect: '100-continue', 'Content-Length': body.length } })
  request.flushHeaders()
  await once(request, 'continue')
  request.end(body)
  const [response] = await once(request, 'response')
  return String(await response.toArray())
}

/** No Content-Length tells its size: the bytes have to be counted. */
function inChunks(kilobytes) {
  return new ReadableStream({
    pull(controller) {
      if (kilobytes-- === 0) controller.close()
      else controller.enqueue(new TextEncoder().encode('"x",'.repeat(256)))
    },
  })
}

async function listen(server) {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return 'http://127.0.0.1:' + server.address().port
}
`

describe('an ES module copy and a CommonJS copy in one process', function () {
  this.timeout(60_000)

  let installed: Installed

  before(async () => {
    installed = await packedPackage()
    installed.link('express', 'ws')
  })

  it('work together on one request: limit, cache, proxy, errors, invitation and upgrade', async () => {
    const results = JSON.parse(await installed.run('two-copies.mjs', program))
    const whole = {
      invited: '{ "spaces" :  "kept" }',
      echoed: true,
      refused: [413, { known: true, code: 'ERR_SLUICEWAY_BODY_TOO_LARGE' }],
      message: 'over both copies',
    }
    expect(results).to.deep.equal({ differ: true, 'esm first': whole, 'cjs first': whole })
  })
})
