import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import { readText, root } from '../support/repository/repository.js'
import { hasNginx, Nginx } from '../support/servers/nginx.js'

/** The lines of the page's own nginx configuration, without its upstream. */
function pageConfiguration(): string {
  const [, lines = ''] =
    /proxy_pass [^;]*;\n([^}]*)\}/.exec(readText('docs/recipes/several-processes.md')) ?? []
  return lines
}

// 256 MB are no whole number of bytes for each of them.
const WORKERS = 3

describe('recipe: several processes, and nginx in front', function () {
  this.timeout(30_000)

  let primary: ChildProcess
  let lines: AsyncIterator<string>
  let shared: number
  let url: string
  let nginx: Nginx | undefined

  before(async () => {
    const env = { ...process.env, NODE_ENV: 'test', PORT: '0', WORKERS: String(WORKERS) }
    primary = spawn(process.execPath, [`${root}/build/.recipes/several-processes.js`], {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    lines = createInterface({ input: primary.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]()
    const ports = new Set<number>()
    for (let n = 0; n < WORKERS; n++) ports.add((await nextWorker()).port)
    expect(ports.size).to.equal(1)
    shared = [...ports][0] ?? 0
    nginx = hasNginx() ? await Nginx.before(shared, pageConfiguration()) : undefined
    url = nginx?.url ?? `http://127.0.0.1:${shared}`
  })
  after(async () => {
    await nginx?.stop()
    if (primary.exitCode !== null || primary.signalCode !== null) return
    primary.kill('SIGKILL')
    await once(primary, 'exit')
  })

  async function nextWorker(): Promise<{ pid: number; port: number }> {
    const { value } = await lines.next()
    const [, pid, port] = /^(\d+) listens on (\d+)$/.exec(String(value)) ?? []
    return { pid: Number(pid), port: Number(port) }
  }

  async function size(length: number): Promise<Response> {
    return await fetch(`${url}/size`, { method: 'POST', body: Buffer.alloc(length) })
  }

  it('delivers the first event at once', async () => {
    const response = await fetch(`${url}/ticks`, { headers: { 'Accept-Encoding': 'gzip' } })
    const reader = response.body?.getReader()
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).to.equal('data: 0\n\n')
    await reader?.cancel()
  })

  it('accepts 2 MB, and answers 413 to 9 MB', async () => {
    expect(await (await size(2_000_000)).json()).to.include({ length: 2_000_000, client: '127.0.0.1' })
    expect((await size(9_000_000)).status).to.equal(413)
  })

  it('lets each process answer', async () => {
    const answered = new Set<number>()
    for (let n = 0; n < 20; n++) {
      const { process: pid } = (await (await size(1)).json()) as { process: number }
      answered.add(pid)
    }
    expect(answered.size).to.equal(WORKERS)
  })

  it('replaces a process that died', async () => {
    const { process: pid } = (await (await size(1)).json()) as { process: number }
    process.kill(pid, 'SIGKILL')
    expect((await nextWorker()).pid).to.not.equal(pid)
    expect((await size(1)).status).to.equal(200)
  })

  it('answers the requests in progress when it is stopped, and ends', async () => {
    const headers = { Expect: '100-continue', 'Content-Length': 9 }
    const upload = request(`http://127.0.0.1:${shared}/size`, { method: 'POST', agent: false, headers })
    const answered = once(upload, 'response') as Promise<[IncomingMessage]>
    upload.flushHeaders()
    await once(upload, 'continue') // somebody reads
    const ended = once(primary, 'exit')
    primary.kill('SIGTERM')
    while (await accepts(shared)) continue
    upload.end('its bytes')
    const [response] = await answered
    expect(response.statusCode).to.equal(200)
    expect(JSON.parse(await text(response))).to.include({ length: 9 })
    expect(await ended).to.deep.equal([0, null])
  })
})

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  const [connected] = await Promise.race([
    once(socket, 'connect').then(() => [true]),
    once(socket, 'close').then(() => [false]),
  ]).catch(() => [false])
  socket.destroy()
  return connected === true
}
