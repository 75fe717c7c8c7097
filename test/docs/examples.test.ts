import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { expect } from 'chai'
import { WebSocket } from 'ws'
import { RawClient } from '../support/clients/raw-client.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { describingUpstream, type Example, examples, Surroundings } from './examples.js'

/** The app of the example that is being tested. */
let url: string
let surroundings: Surroundings

const JSON_TYPE = { 'Content-Type': 'application/json' }

async function post(path: string, body: string, headers: Record<string, string> = {}): Promise<Response> {
  return await fetch(url + path, { method: 'POST', body, headers: { ...JSON_TYPE, ...headers } })
}

/** The request that the upstream got, as it reports it. */
async function asked(response: Response | Promise<Response>): Promise<Record<string, unknown>> {
  return (await (await response).json()) as Record<string, unknown>
}

/** The results that a reader of each page may expect of its examples, by page and number. */
const expectations: Readonly<Record<string, () => Promise<void>>> = {
  'readme 1': async () => {
    expect(await (await post('/settings', '{"theme":"dark"}')).json()).to.deep.equal({
      saved: { theme: 'dark' },
    })
    expect((await post('/settings', JSON.stringify('x'.repeat(11_000)))).status).to.equal(413)
  },
  'readme 2': async () => {
    const answer = await post('/webhook', '{ "id": "A-1", "total": 3 }')
    expect(await answer.json()).to.deep.equal({ bytes: 27, id: 'A-1' })
    expect((await post('/webhook', '{"id":1}')).status).to.equal(400)
  },
  'readme 3': async () => {
    expect(await (await fetch(`${url}/build`)).text()).to.match(/\nbuilt\n/)
  },
  'readme 4': async () => {
    expect(await asked(fetch(`${url}/api/users?x=1`))).to.include({ url: '/users?x=1' })
    const client = await RawClient.connect(await surroundings.port())
    client.write('GET /other HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
    expect((await client.response()).status).to.equal(404)
    client.destroy()
  },
  'docs-attach 1': async () => {
    const client = await RawClient.connect(await surroundings.port())
    client.write('GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
    expect((await client.response()).status).to.equal(401)
    client.destroy()
    const headers = { Cookie: 'session=1' }
    expect(await asked(fetch(`${url}/chat/1`, { headers }))).to.include({ url: '/1' })
  },
  'docs-attach 2': async () => {
    const port = await surroundings.port()
    const client = new WebSocket(`ws://127.0.0.1:${port}/prices`)
    await once(client, 'open')
    client.terminate()
    expect(await asked(fetch(`${url}/other`))).to.include({ url: '/other' })
  },
  'docs-attach 3': async () => {
    const port = await surroundings.port()
    const client = new WebSocket(`ws://127.0.0.1:${port}/`)
    const [greeting] = (await once(client, 'message')) as [Buffer]
    client.terminate()
    expect(greeting.toString()).to.equal('hello')
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).to.equal('<p>page')
  },
  'docs-auto-flush 1': async () => {
    expect(await firstText('/events')).to.equal('data: 0\n\n')
  },
  'docs-body-cache 1': async () => {
    const body = '{ "a": 1 }'
    const signature = createHmac('sha256', 'sesame').update(body).digest('hex')
    expect((await post('/webhook', body, { 'X-Signature': signature })).status).to.equal(204)
    expect((await post('/webhook', body, { 'X-Signature': 'abcd' })).status).to.equal(401)
  },
  'docs-body-cache 2': async () => {
    const answer = await post('/orders', '{"id":"A-1","user":"ada"}')
    expect(await answer.json()).to.deep.equal({ order: 'A-1', by: 'ada' })
  },
  // A declaration for the compiler.
  'docs-body-cache 3': async () => {},
  'docs-errors 1': async () => {
    const answer = await post('/', 'x'.repeat(2_000_000))
    expect(await answer.json()).to.include({ code: 'ERR_SLUICEWAY_BODY_TOO_LARGE' })
  },
  'docs-errors 2': async () => {
    expect(await (await post('/orders', '[1]')).json()).to.deep.equal({ order: [1] })
    expect((await post('/orders', '[1')).status).to.equal(400)
  },
  'docs-max-bytes 1': async () => {
    expect((await post('/avatar', 'x'.repeat(600_000))).status).to.equal(413)
    expect((await post('/other', 'x'.repeat(600_000))).status).to.equal(404)
  },
  'docs-max-bytes 2': async () => takesLargeVideos(),
  'docs-max-bytes 3': async () => takesLargeVideos(),
  'docs-max-bytes 4': async () => {
    expect((await post('/', 'x'.repeat(600_000))).status).to.equal(404)
  },
  'docs-max-bytes 5': async () => {
    const answer = await post('/', 'x'.repeat(2_000_000))
    expect(await answer.json()).to.deep.equal({ message: 'too large', limit: 1_048_576 })
  },
  'docs-passthrough-proxy 1': async () => {
    expect(await asked(fetch(`${url}/api/users?x=1`))).to.include({ url: '/v1/users?x=1' })
  },
  'docs-passthrough-proxy 2': async () => {
    const seen = await asked(post('/a&b', '{}'))
    expect(seen).to.include({ method: 'GET', url: '/lookup?of=%2Fa%26b', body: '' })
    expect(seen['authorization']).to.equal('Bearer sesame')
  },
  'docs-passthrough-proxy 3': async () => {
    expect(await asked(post('/a', 'quiet'))).to.include({ body: 'QUIET' })
  },
  // Proxies that nobody asks. That they are created says that their options are right.
  'docs-passthrough-proxy 4': async () => {},
  'docs-passthrough-proxy 5': async () => {},
  'docs-passthrough-proxy 6': async () => {},
  // Asks its own proxy.
  'docs-passthrough-proxy 7': async () => {},
  'docs-passthrough-proxy 8': async () => {
    const answer = fetch(`http://127.0.0.1:${await surroundings.port()}/x?y`)
    expect(await asked(answer)).to.include({ url: '/x?y' })
  },
  'docs-passthrough-proxy 9': async () => {
    expect(await asked(post('/x', '{ "spaces" :  "kept" }'))).to.include({ body: '{ "spaces" :  "kept" }' })
  },
  'docs-passthrough-proxy 10': async () => {
    const seen = await asked(fetch(url, { headers: { Authorization: 'Basic client' } }))
    expect(seen).to.include({ authorization: 'Bearer of-this-server' })
  },
  'docs-readme 1': async () => {
    expect(await asked(post('/api/x', '{}'))).to.include({ url: '/x', body: '{}' })
  },
  // Clients; test/recipes/duplex-chunks.test.ts calls them.
  'docs-recipes-duplex-chunks 1': async () => {},
  'docs-recipes-duplex-chunks 2': async () => {},
  'docs-recipes-from-body-parser-verify 1': async () => {
    const signature = createHmac('sha256', 'sesame').update('{}').digest('hex')
    expect((await post('/', '{}', { 'X-Signature': signature })).status).to.equal(404)
    expect((await post('/', '{}', { 'X-Signature': 'abcd' })).status).to.equal(403)
  },
  // Another's code; what takes its place is tested as a recipe.
  'docs-recipes-from-http-proxy-middleware 1': async () => {
    expect((await fetch(`${url}/other`)).status).to.equal(404)
  },
  'docs-pipe-child 1': async () => {
    expect(await firstText('/log')).to.equal('data: first line\n\n')
  },
  // The same steps are the recipe of the deploy log: test/recipes/deploy-log.test.ts.
  'docs-pipe-child 2': async () => {},
  // It ends a process; test/pipe-child/shutdown.test.ts does so.
  'docs-pipe-child 3': async () => {},
  // Commands; test/pipe-child/block-buffered.test.ts runs them.
  'docs-pipe-child 4': async () => {},
}

async function takesLargeVideos(): Promise<void> {
  const large = 'x'.repeat(2_000_000)
  expect(await (await post('/videos', large)).json()).to.deep.equal({ taken: true })
  expect((await post('/others', large)).status).to.equal(413)
}

/** The first text of an answer, without waiting for the rest. */
async function firstText(path: string): Promise<string> {
  const reader = (await fetch(url + path)).body?.getReader()
  const chunk = await reader?.read()
  await reader?.cancel()
  return Buffer.from(chunk?.value ?? []).toString()
}

describe('the examples of README and docs', function () {
  this.timeout(20_000)

  before(async () => {
    const upstream = await describingUpstream()
    surroundings = new Surroundings(upstream.port)
  })
  after(() => surroundings.leave())
  after(closeServers)

  it('are all run here', () => {
    expect(examples().map(({ title }) => title)).to.have.members(Object.keys(expectations))
  })

  for (const example of examples()) it(`run: ${example.title}`, () => meetsExpectations(example))
})

async function meetsExpectations(example: Example): Promise<void> {
  const app = await surroundings.run(example)
  if (app !== undefined) ({ url } = await serve(app))
  await expectations[example.title]?.()
}
