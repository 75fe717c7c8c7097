import { expect } from 'chai'
import Mocha from 'mocha'
import { RawClient } from '../support/clients/raw-client.js'
import { StreamingClient } from '../support/clients/streaming-client.js'
import { answer, scriptedUpstream } from '../support/servers/scripted-upstream.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'
import { until } from '../support/time/until.js'
import { beginTest, waitFor } from '../support/time/waiting.js'

describe('a test that times out', () => {
  beforeEach(beginTest)
  afterEach(closeServers)

  it('says which text its client should receive, and the text that has come instead', async () => {
    const upstream = await scriptedUpstream()
    const client = await RawClient.connect(upstream.port)
    const connection = await upstream.connection()
    connection.write(answer('pong 1'))
    await client.untilText('pong 1')
    connection.write('pong 1')
    await client.until((bytes) => bytes.length === 6 || undefined)
    expect(await messageOf(() => client.untilText('pong 2'))).to.equal(
      `waited 0.05 s for the client of port ${upstream.port} to receive "pong 2" (it has received "pong 1")`,
    )
    expect(await messageOf(() => connection.closed())).to.contain(
      'for the connection of the upstream to be ended or cut',
    )
    expect(await messageOf(() => upstream.connection())).to.contain('for a connection to the upstream')
  })

  it('names the events that it still waits for', async () => {
    const { url } = await serve((_req, res) => res.write('begun'))
    const client = await StreamingClient.get(url)
    await client.received('begun')
    expect(await messageOf(() => client.received('over'))).to.contain(
      'for the client to decode "over" (it has received "begun")',
    )
    let isClosed = false
    expect(await messageOf(() => until(() => isClosed, 'the file to be closed'))).to.contain(
      'for the file to be closed',
    )
    isClosed = true
    expect(await messageOf(() => waitFor('the upstream to see its client leave', never))).to.contain(
      'for the upstream to see its client leave',
    )
  })

  it('is the last to look for it', async () => {
    let looks = 0
    await messageOf(() => until(() => void (looks += 1)))
    beginTest()
    const before = looks
    for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate)
    expect(looks).to.be.at.most(before + 1)
  })

  it('does not print the text that has come', async () => {
    expect(await messageOf(() => waitFor('this', Promise.resolve()).then(() => never))).to.match(
      /^Timeout of 50ms exceeded/,
    )
  })
})

const never = new Promise<never>(() => {})

/** How mocha says that a test with this body has timed out. */
async function messageOf(body: () => PromiseLike<unknown>): Promise<string> {
  beginTest()
  const test = new Mocha.Test('', async () => void (await body()))
  test.timeout(50)
  const failed = deferred<Error>()
  test.run(failed.resolve as () => void)
  return (await failed.promise).message
}
