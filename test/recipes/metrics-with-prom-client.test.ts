import { createServer } from 'node:http'
import { expect } from 'chai'
import { RawClient } from '../support/clients/raw-client.js'
import { RecipeProcess } from '../support/recipes/recipe-process.js'
import { closeServers, listen } from '../support/servers/servers.js'

describe('recipe: metrics with prom-client', () => {
  let program: RecipeProcess
  let arrivals: number

  beforeEach(async () => {
    arrivals = 0
    const upstream = createServer((req, res) => {
      arrivals += 1
      if (req.url === '/cut') req.socket.destroy()
      else if (req.url !== '/never') req.resume().on('end', () => res.end('done'))
    })
    const { url } = await listen(upstream)
    program = await RecipeProcess.start('metrics-with-prom-client', { UPSTREAM: url })
  })
  afterEach(async () => {
    await program.end()
    await closeServers()
  })

  async function send(path: string, body?: Buffer): Promise<number> {
    const init = body === undefined ? {} : { method: 'POST', body }
    const response = await fetch(`http://127.0.0.1:${program.port}${path}`, init)
    await response.arrayBuffer()
    return response.status
  }

  /** The value of each metric with its labels. */
  async function metrics(): Promise<Map<string, number>> {
    const response = await fetch(`http://127.0.0.1:${program.port}/metrics`)
    expect(response.headers.get('content-type')).to.match(/^text\/plain; version=0\.0\.4/)
    const lines = (await response.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
    return new Map(lines.map((line) => [line.replace(/ \S+$/, ''), Number(/\S+$/.exec(line)![0])]))
  }

  /** Asks until a metric has come to a value: what ends in the server, a client does not see. */
  async function metricsWith(name: string, value: number): Promise<Map<string, number>> {
    for (;;) {
      const found = await metrics()
      if (found.get(name) === value) return found
    }
  }

  const count = (method: string, status: number, outcome: string): string =>
    `proxied_seconds_count{method="${method}",status="${status}",outcome="${outcome}"}`

  it('counts refused bodies, spilled bytes, and proxied requests by status', async () => {
    expect(await send('/api/x')).to.equal(200)
    expect(await send('/api/stored', Buffer.alloc(200_000))).to.equal(200)
    expect(await send('/api/refused', Buffer.alloc(2_000_000))).to.equal(413)
    expect(await send('/api/cut')).to.equal(502)
    const found = await metrics()
    expect(found.get('bodies_refused_total{status="413",code="ERR_SLUICEWAY_BODY_TOO_LARGE"}')).to.equal(1)
    expect(found.get('body_spilled_bytes_total')).to.be.within(200_000 - 65_536, 200_000)
    expect(found.get(count('GET', 200, 'answered'))).to.equal(1)
    expect(found.get(count('POST', 200, 'answered'))).to.equal(1)
    expect(found.get(count('GET', 0, 'failed'))).to.equal(1)
    expect(found.get('proxied_requests')).to.equal(0)
    const sum = found.get('proxied_seconds_sum{method="GET",status="200",outcome="answered"}')
    expect(sum).to.be.above(0).and.below(10)
  })

  it('has requests in progress, and clients that leave', async () => {
    const client = await RawClient.connect(program.port)
    client.request('GET', '/api/never')
    await metricsWith('proxied_requests', 1)
    client.destroy()
    const found = await metricsWith('proxied_requests', 0)
    expect(found.get(count('GET', 0, 'client-left'))).to.equal(1)
    expect(arrivals).to.equal(1)
  })
})
