import { execFile } from 'node:child_process'
import https from 'node:https'
import net from 'node:net'
import tls from 'node:tls'
import { promisify } from 'node:util'
import { expect } from 'chai'
import express from 'express'
import { maxBytes } from 'sluiceway/max-bytes'
import { closeServers, listen, serve } from '../support/servers.js'
import { certificate, key } from '../support/tls-certificate.js'
import { body, IN_CHUNKS, LENGTH, WITH_LENGTH, writeThenRead } from './uploads.js'

const run = promisify(execFile)
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
      it(`delivers the 413 over ${transport}, ${framing}, 25 of 25`, async function () {
        this.timeout(60_000)
        const port = await servers[transport]()
        const lines: string[] = []
        for (let round = 0; round < 25; round++)
          lines.push(await writeThenRead(connect[transport](port), framing))
        expect(lines).to.deep.equal(Array.from({ length: 25 }, () => 'HTTP/1.1 413 Payload Too Large'))
      })
    }
  }
})

describe('maxBytes, with 10 MB uploads of common clients', () => {
  afterEach(closeServers)

  it('delivers the 413 to fetch, 25 of 25', async () => {
    const { url } = await serve(app())
    for (let round = 0; round < 25; round++) {
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
})

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
