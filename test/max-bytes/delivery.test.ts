import { execFile } from 'node:child_process'
import { once } from 'node:events'
import https from 'node:https'
import net, { type Socket } from 'node:net'
import tls from 'node:tls'
import { promisify } from 'node:util'
import { expect } from 'chai'
import express from 'express'
import type { Page } from 'playwright-core'
import { maxBytes, type MaxBytesOptions } from 'sluiceway/max-bytes'
import { findChromium, noChromium, openChromium } from '../support/chromium.js'
import { deferred } from '../support/deferred.js'
import { asChunk, RawClient } from '../support/raw-client.js'
import { closeServers, listen, serve } from '../support/servers.js'
import { certificate, key } from '../support/tls-certificate.js'
import { body, IN_CHUNKS, LENGTH, WITH_LENGTH, writeThenRead } from './uploads.js'

const run = promisify(execFile)
const ROUNDS = 100
/** A browser takes half a second for each. */
const BROWSER_ROUNDS = 5

function app(): express.Express {
  return express()
    .set('env', 'test')
    .use(maxBytes('100kb'), express.raw({ type: () => true, limit: '1gb' }))
    .use((_req, res) => void res.end('let through'))
}

describe('maxBytes, when the client writes 10 MB before it reads', () => {
  afterEach(closeServers)

  const servers = {
    TCP: async () => (await serve(app())).port,
    TLS: async () => (await listen(https.createServer({ key, cert: certificate }, app()))).port,
  }
  const connect = {
    TCP: (port: number) => net.connect({ port, host: '127.0.0.1' }),
    TLS: (port: number) => tls.connect({ port, host: '127.0.0.1', ca: certificate }),
  }

  for (const transport of ['TCP', 'TLS'] as const) {
    for (const framing of [WITH_LENGTH, IN_CHUNKS]) {
      it(`delivers the 413 over ${transport}, ${framing}, ${ROUNDS} of ${ROUNDS}`, async function () {
        this.timeout(60_000)
        const port = await servers[transport]()
        const lines: string[] = []
        for (let round = 0; round < ROUNDS; round++)
          lines.push(await writeThenRead(connect[transport](port), framing))
        expect(lines).to.deep.equal(Array.from({ length: ROUNDS }, () => 'HTTP/1.1 413 Payload Too Large'))
      })
    }
  }
})

describe('maxBytes, with 10 MB uploads of common clients', () => {
  afterEach(closeServers)

  it(`delivers the 413 to Node fetch, ${ROUNDS} of ${ROUNDS}`, async function () {
    this.timeout(60_000)
    const { url } = await serve(app())
    for (let round = 0; round < ROUNDS; round++) {
      const response = await fetch(url, { method: 'POST', body })
      expect([response.status, (await response.text()).length > 0]).to.deep.equal([413, true])
    }
  })

  it('delivers the 413 to curl', async function () {
    const { url } = await serve(app())
    const args = ['-s', '-o', '/dev/null', '-w', '%{http_code}', '-H', 'Expect:', '-T', '-', url]
    const curl = run('curl', args)
    curl.child.stdin!.on('error', () => {})
    curl.child.stdin!.end(body)
    const result = await curl.catch((error: { code?: string; stdout?: string }) => error)
    if ((result as { code?: string }).code === 'ENOENT') skip(this, 'curl was not found')
    expect(result.stdout).to.equal('413')
  })

  it('delivers the 413 to Python requests', async function () {
    const { url } = await serve(app())
    const script = `import requests; print(requests.post(${JSON.stringify(url)}, data=b'a' * ${LENGTH}).status_code)`
    const python = await pythonWithRequests()
    if (python === undefined) return skip(this, 'no python3 with requests was found')
    for (let round = 0; round < 5; round++) {
      expect((await run(python, ['-c', script])).stdout.trim()).to.equal('413')
    }
  })

  it('shows the 413 in Chromium: to a form that is posted, and to fetch', async function () {
    this.timeout(60_000)
    const executable = findChromium()
    if (executable === undefined) return skip(this, noChromium)
    const browser = await openChromium(executable)
    try {
      const { url } = await serve(withPage(app()))
      for (let round = 0; round < BROWSER_ROUNDS; round++) {
        const page = await browser.context.newPage()
        expect(await statusesIn(page, url)).to.deep.equal({ fetch: 413, form: 413 })
        await page.close()
      }
    } finally {
      await browser.close()
    }
  })
})

/** Puts a page with a form in front of the application. */
function withPage(limited: express.Express): express.Express {
  const form = '<form method="post" enctype="multipart/form-data"><input type="hidden" name="text"></form>'
  return express()
    .set('env', 'test')
    .get('/', (_req, res) => void res.type('html').send(form))
    .use(limited)
}

/** The statuses that a browser shows for 10 MB, sent by script and by a form. */
async function statusesIn(page: Page, url: string): Promise<Record<string, number | undefined>> {
  await page.goto(url)
  // Strings, as these run in the page and are no business of the compiler.
  const byScript = await page.evaluate<number>(
    `fetch('/', { method: 'POST', body: 'a'.repeat(${LENGTH}) }).then((response) => response.status)`,
  )
  const [shown] = await Promise.all([
    page.waitForNavigation(),
    page.evaluate(
      `document.forms[0].text.value = 'a'.repeat(${LENGTH}); setTimeout(() => document.forms[0].submit())`,
    ),
  ])
  return { fetch: byScript, form: shown?.status() }
}

describe('maxBytes, with clients that can not be served', () => {
  afterEach(closeServers)

  it('cuts one that drips a byte each 50 ms and never ends, after lingerMs', async () => {
    const { connection, client } = await refused({ limit: 10, lingerMs: 300 })
    const drip = setInterval(() => client.write(asChunk('x')), 50)
    const answered = performance.now()
    await once(connection, 'close')
    clearInterval(drip)
    expect(performance.now() - answered).to.be.within(200, 1000)
  })

  it('cuts one that sends nothing more and never reads, after lingerMs', async () => {
    const { connection, client } = await refused({ limit: 10, lingerMs: 300 }, { reads: false })
    const answered = performance.now()
    await once(connection, 'close')
    expect(performance.now() - answered).to.be.within(200, 1000)
    client.destroy()
  })

  for (const lingerBytes of [1024 * 1024, 16 * 1024 * 1024]) {
    it(`cuts one that sends without end and never reads, after ${lingerBytes} bytes`, async () => {
      const bounds = { limit: 10, lingerMs: 10_000, lingerBytes }
      const { connection, client } = await refused(bounds, { reads: false })
      const send = (): void => {
        while (client.socket.writable && client.write(block));
      }
      client.socket.on('drain', send)
      send()
      await once(connection, 'close')
      expect(connection.bytesRead).to.be.within(lingerBytes, lingerBytes + 512 * 1024)
    })
  }
})

const block = asChunk(Buffer.alloc(64 * 1024))

/** A client whose body has just been refused, and the server's side of its connection. */
async function refused(
  options: MaxBytesOptions,
  { reads = true } = {},
): Promise<{ client: RawClient; connection: Socket }> {
  const reading = express()
    .set('env', 'test')
    .use(maxBytes(options), express.raw({ type: () => true }))
  const { promise: answered, resolve } = deferred()
  const { port, connections } = await serve((req, res) => reading(req, res.once('finish', resolve)))
  const client = await RawClient.connect(port)
  if (!reads) client.socket.pause()
  client.write(`POST / HTTP/1.1\r\nHost: a\r\n${IN_CHUNKS}\r\n\r\n`, asChunk('12345678901'))
  await answered
  if (reads) expect((await client.response()).status).to.equal(413)
  return { client, connection: connections[0]! }
}

/** Debian's python has the package that apt installs; another python3 may come first on the PATH. */
async function pythonWithRequests(): Promise<string | undefined> {
  for (const python of ['/usr/bin/python3', 'python3']) {
    const found = await run(python, ['-c', 'import requests']).then(
      () => true,
      () => false,
    )
    if (found) return python
  }
  return undefined
}

function skip(context: Mocha.Context, reason: string): void {
  console.log(`      skipped: ${reason}`)
  context.skip()
}
