import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { expect } from 'chai'
import { attach } from 'sluiceway'
import { RawClient } from '../support/clients/raw-client.js'
import { collectedBytes } from '../support/process/memory.js'
import { listen } from '../support/servers/servers.js'
import { until } from '../support/time/until.js'
import { apps, closeAll, others } from './neighbors.js'

const REQUEST = [
  'GET /other HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
].join('\r\n')

describe("the app's response to an upgrade that another listener has taken", () => {
  let client: RawClient
  let res: ServerResponse | undefined
  let held: WeakRef<IncomingMessage | ServerResponse>[]

  /** Opens a WebSocket that the app has passed on to `taker`. */
  async function opened(taker: string, watch: (res: ServerResponse) => void = () => {}): Promise<void> {
    const app = apps['Express 5']!((req, answer, next) => {
      res = answer
      held = [new WeakRef(req), new WeakRef(answer)]
      watch(answer)
      next()
    })
    const server = createServer(app)
    attach(server, app)
    others[taker]!(server)
    client = await RawClient.connect((await listen(server)).port)
    client.write(REQUEST)
    expect((await client.response()).status).to.equal(101)
  }

  afterEach(() => {
    res = undefined
    client.destroy()
    return closeAll()
  })

  for (const taker of Object.keys(others)) {
    it(`is held by nothing, and neither is the request: ${taker}`, async () => {
      await opened(taker)
      res = undefined
      await collectedBytes()
      expect(held.map((each) => each.deref())).to.deep.equal([undefined, undefined])
    })
  }

  const [taker] = Object.keys(others)

  it('closes with the connection for code that has it', async () => {
    await opened(taker!)
    expect(res!.closed).to.equal(false)
    client.destroy()
    await until(() => res!.closed)
  })

  for (const [when, watchBefore] of [
    ['before', true],
    ['later', false],
  ] as const) {
    it(`emits 'close' with the connection to a listener that was added ${when}`, async () => {
      let closings = 0
      const watch = (answer: ServerResponse): void => void answer.on('close', () => closings++)
      await opened(taker!, watchBefore ? watch : undefined)
      if (!watchBefore) watch(res!)
      res = undefined
      await collectedBytes()
      expect(closings).to.equal(0)
      client.destroy()
      await until(() => closings)
      expect(closings).to.equal(1)
    })
  }
})
