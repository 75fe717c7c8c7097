import { once } from 'node:events'
import { expect } from 'chai'
import { autoFlush, bodyCache, maxBytes, passthroughProxy, type SluicewayError } from 'sluiceway'
import { asChunk, lastChunk, RawClient } from '../support/clients/raw-client.js'
import { hosts } from '../support/express/hosts.js'
import { answer, scriptedUpstream } from '../support/servers/scripted-upstream.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { passedTimers } from '../support/time/passed-timers.js'

const HOUR = 3_600_000
const RealDate = Date

/** Sets the clock of this process forward or back. */
function jump(milliseconds: number): void {
  const now = (): number => RealDate.now() + milliseconds
  globalThis.Date = class extends RealDate {
    static override now = now
    constructor(...values: unknown[]) {
      super(...((values.length === 0 ? [now()] : values) as [number]))
    }
  } as DateConstructor
}

for (const { name, mount } of hosts) {
  for (const [direction, by] of [
    ['forward', HOUR],
    ['back', -HOUR],
  ] as const) {
    describe(`a clock that jumps an hour ${direction} (${name})`, () => {
      afterEach(async () => {
        globalThis.Date = RealDate
        await closeServers()
      })

      it('does not time out a proxied exchange that is in progress', async () => {
        const upstream = await scriptedUpstream()
        const proxy = passthroughProxy(upstream.url, { headersTimeoutMs: 60_000, idleTimeoutMs: 60_000 })
        const { port } = await serve(mount(maxBytes('1mb'), bodyCache(), autoFlush(), proxy))
        const client = await RawClient.connect(port)
        client.request('POST', '/', { 'Transfer-Encoding': 'chunked' })
        client.write(asChunk('in'))
        const connection = await upstream.connection()
        await connection.untilText('in')
        jump(by)
        client.write(asChunk('put'), lastChunk)
        await connection.untilText(lastChunk)
        connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', asChunk('out'))
        await client.untilText('out\r\n')
        globalThis.Date = RealDate
        jump(-by)
        connection.write(asChunk('put'), lastChunk)
        await client.untilText(lastChunk)
        // The connections are kept on both sides.
        client.request('GET', '/next')
        await connection.untilText('GET /next')
        connection.write(answer('next'))
        expect((await client.response()).body.toString()).to.equal('next')
      })

      it('times out a silent upstream when the time is up', async () => {
        const upstream = await scriptedUpstream()
        const errors: SluicewayError[] = []
        const proxy = passthroughProxy(upstream.url, { headersTimeoutMs: 300 })
        const { port } = await serve(
          mount((req, res, next) =>
            proxy(req, res, (error) => {
              errors.push(error as SluicewayError)
              next(error)
            }),
          ),
        )
        const client = await RawClient.connect(port)
        const passed = passedTimers(300, 5000)
        client.request('GET', '/')
        await (await upstream.connection()).untilText('\r\n\r\n')
        jump(by)
        expect((await client.response()).status).to.equal(504)
        expect(passed()).to.deep.equal([300])
        expect(errors[0]).to.have.property('code', 'ERR_SLUICEWAY_UPSTREAM_TIMEOUT')
      })

      it('lingers for lingerMs', async () => {
        const { port, connections } = await serve(mount(maxBytes({ limit: 10, lingerMs: 200 })))
        const client = await RawClient.connect(port)
        const passed = passedTimers(200, 5000)
        client.request('POST', '/', { 'Content-Length': '1000' })
        expect((await client.response()).status).to.equal(413)
        jump(by)
        await once(connections[0]!, 'close')
        expect(passed()).to.deep.equal([200])
      })

      it('keeps the heartbeat of an event stream', async () => {
        const { port } = await serve(
          mount(autoFlush({ heartbeatMs: 20 }), (_req, res) => {
            res.setHeader('Content-Type', 'text/event-stream')
            res.write('data: 1\n\n')
          }),
        )
        const client = await RawClient.connect(port)
        const passed = passedTimers(60, 2000)
        client.request('GET', '/')
        await client.untilText('data: 1\n\n')
        jump(by)
        for (let beat = 0; beat < 3; beat++) await client.untilText(':\n\n')
        expect(passed()).to.deep.equal([60])
        client.destroy()
      })
    })
  }
}
