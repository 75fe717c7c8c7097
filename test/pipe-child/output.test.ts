import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { expect } from 'chai'
import compression from 'compression'
import type { Response } from 'express'
import { autoFlush, pipeChild, type PipeChildOptions } from 'sluiceway'
import { RawClient } from '../support/clients/raw-client.js'
import { StreamingClient } from '../support/clients/streaming-client.js'
import { expressVersions } from '../support/express/express-versions.js'
import { closeServers } from '../support/servers/servers.js'
import { standstill } from '../support/time/standstill.js'
import { until } from '../support/time/until.js'
import { allGone, piped, sh } from './piped.js'

describe('pipeChild', () => {
  afterEach(closeServers)

  for (const { name, express } of expressVersions) {
    it(`sends output as it comes, through compression: ${name}`, async () => {
      const app = express()
      app.use(compression(), autoFlush())
      const { url, child } = await piped(() => spawn('cat'), {}, { app })
      const client = await StreamingClient.get(url, 'gzip')
      for (const n of [1, 2, 3]) {
        ;(await child).stdin?.write(`line ${n}\n`)
        await client.received(`line ${n}\n`)
      }
      ;(await child).stdin?.end()
      expect(await client.ended()).to.equal('line 1\nline 2\nline 3\n')
      expect(client.response.headers['content-type']).to.equal('text/plain; charset=utf-8')
    })

    it(`rejects before the head when the command does not exist: ${name}`, async () => {
      const app = express()
      const { url } = await piped(() => spawn('no-such-command'), {}, { app })
      const client = await StreamingClient.get(url)
      expect(client.response.statusCode).to.equal(404)
      expect(await client.ended()).to.equal('ENOENT')
    })
  }

  it('rejects before the head when the command may not be run', async () => {
    const { url } = await piped(() => spawn('/etc/passwd'), {})
    expect(await (await StreamingClient.get(url)).ended()).to.equal('EACCES')
  })

  it('sends the head of a silent child', async () => {
    const { url } = await piped(() => sh('exec sleep 60'), {})
    const client = await StreamingClient.get(url)
    expect(client.response.statusCode).to.equal(200)
    client.leave()
  })

  it('merges stdout and stderr in their order of arrival', async () => {
    const script = 'read a; echo one; read a; echo two >&2; read a; echo three'
    const { url, child } = await piped(() => sh(script), {})
    const client = await StreamingClient.get(url)
    for (const word of ['one', 'two', 'three']) {
      ;(await child).stdin?.write('go\n')
      await client.received(word)
    }
    expect(await client.ended()).to.equal('one\ntwo\nthree\n')
  })

  it('drops stderr, however much comes', async () => {
    const script = 'head -c 1000000 /dev/zero >&2; echo kept; echo dropped >&2'
    const { url } = await piped(() => sh(script), { stderr: 'drop' })
    expect(await (await StreamingClient.get(url)).ended()).to.equal('kept\n')
  })

  for (const stderr of ['merge', 'drop'] as const) {
    it(`takes a child without stderr: ${stderr}`, async () => {
      const { url, exit } = await piped(
        () => spawn('echo', ['out'], { stdio: ['ignore', 'pipe', 'ignore'] }),
        { stderr },
      )
      expect(await (await StreamingClient.get(url)).ended()).to.equal('out\n')
      expect(await exit).to.deep.equal({ code: 0, signal: null })
    })
  }

  it('ends a child without stderr when the client leaves', async () => {
    const { url, exit } = await piped(
      () => spawn('sleep', ['65'], { stdio: ['ignore', 'pipe', 'ignore'], detached: true }),
      {},
    )
    ;(await StreamingClient.get(url)).leave()
    expect(await exit).to.deep.equal({ code: null, signal: 'SIGTERM' })
  })

  it('leaves a head alone that is out', async () => {
    const before = async (res: Response): Promise<void> => res.flushHeaders()
    const { url } = await piped(() => spawn('echo', ['out']), {}, { before })
    const client = await StreamingClient.get(url)
    expect(client.response.headers).not.to.have.property('content-type')
    expect(await client.ended()).to.equal('out\n')
  })

  it('keeps the Content-Type of the handler, and sets no Cache-Control', async () => {
    const { url } = await piped(() => spawn('echo', ['a,b']), {}, { type: 'text/csv' })
    const client = await StreamingClient.get(url)
    expect(client.response.headers).to.have.property('content-type', 'text/csv; charset=utf-8')
    expect(client.response.headers).not.to.have.property('cache-control')
    expect(await client.ended()).to.equal('a,b\n')
  })

  it('sends the exit code as a trailer, and none to HTTP/1.0', async () => {
    const { port } = await piped(() => sh('echo done; exit 4'), { exit: 'trailer' })
    const modern = await RawClient.connect(port)
    modern.request('GET', '/')
    expect(await modern.untilText('\r\n\r\n')).to.include('Trailer: Exit-Code, Exit-Signal\r\n')
    await modern.untilText('0\r\nExit-Code: 4\r\n\r\n')
    modern.destroy()
    const old = await RawClient.connect(port)
    old.write('GET / HTTP/1.0\r\n\r\n')
    expect(await old.untilText('done\n')).not.to.include('Trailer')
    old.destroy()
  })

  it('sends no trailer to HEAD', async () => {
    const { port, exit } = await piped(() => sh('exit 4'), { exit: 'trailer' })
    const client = await RawClient.connect(port)
    client.request('HEAD', '/')
    const { status, headers } = await client.response({ head: true })
    expect(status).to.equal(200)
    expect(headers).not.to.have.property('trailer')
    expect(await exit).to.deep.equal({ code: 4, signal: null })
  })

  it('sends the signal as a trailer', async () => {
    const { port } = await piped(() => sh('kill -TERM $$'), { exit: 'trailer' })
    const client = await RawClient.connect(port)
    client.request('GET', '/')
    await client.untilText('\r\n0\r\nExit-Signal: SIGTERM\r\n\r\n')
    client.destroy()
  })

  it('makes the child wait for a client that does not read', async () => {
    const { port, url, child } = await piped(() => spawn('cat', ['/dev/zero']), {})
    const client = await RawClient.connect(port)
    client.socket.pause()
    client.request('GET', '/')
    const stdout = (await child).stdout!
    let taken = 0
    stdout.on('data', (chunk: Buffer) => (taken += chunk.length))
    await until(() => stdout.isPaused())
    expect(await standstill(url, () => taken)).to.be.below(32 * 1024 * 1024)
    client.socket.resume()
    await once(stdout, 'data')
    client.destroy()
  })

  it('ends the response of a child that was already over', async () => {
    const child = sh('exit 5')
    child.stdout?.resume()
    child.stderr?.resume()
    await once(child, 'close')
    const { url, exit } = await piped(() => child, {})
    expect(await (await StreamingClient.get(url)).ended()).to.equal('')
    expect(await exit).to.deep.equal({ code: 5, signal: null })
  })

  it("resolves for a response without a server, as of a function adapter, which never emits 'close'", async () => {
    const res = new ServerResponse(new IncomingMessage(new Socket()))
    const written = new PassThrough()
    let text = ''
    written.on('data', (chunk: Buffer) => (text += String(chunk)))
    res.assignSocket(written as never)
    expect(await pipeChild(res, sh('echo out; exit 3'))).to.deep.equal({ code: 3, signal: null })
    expect(text).to.match(/\r\n\r\nout\n$/)
  })

  it('gives the child of a refused call time to end by itself', async () => {
    const child = sh('trap "exit 7" TERM; echo ready; while :; do sleep 0.05; done')
    await once(child.stdout!, 'data')
    const { url } = await piped(() => child, { exit: 'event' })
    const ended = once(child, 'exit')
    await (await StreamingClient.get(url)).ended()
    expect(await ended).to.deep.equal([7, null])
  })

  it('refuses wrong options, and ends the child', async () => {
    const wrong: [unknown, string][] = [
      [{ stderr: 'both' }, 'option "stderr" must be one of'],
      [{ exit: 'code' }, 'option "exit" must be one of'],
      [{ exit: 'event' }, 'which needs Content-Type text/event-stream'],
      [{ stderr: 'event' }, 'which needs Content-Type text/event-stream'],
      [
        { killSignal: 'SIGNOTHING' },
        'option "killSignal" must be the name of a signal such as \'SIGTERM\', got "SIGNOTHING" (',
      ],
      [{ killSignal: 9 }, 'got 9 ('],
      [{ forceKillAfterMs: -1 }, 'option "forceKillAfterMs" must be'],
      [{ killsignal: 'SIGINT' }, 'did you mean "killSignal"'],
      [{ cwd: '/' }, 'unknown option "cwd"; give it to spawn'],
      [{ timeout: 1000 }, 'unknown option "timeout"; to end the child with its group, end the response'],
      [
        { signal: AbortSignal.timeout(1) },
        'unknown option "signal"; to end the child with its group, end the response',
      ],
    ]
    for (const [options, message] of wrong) {
      const { url, child } = await piped(() => sh('exec sleep 64'), options as PipeChildOptions)
      const client = await StreamingClient.get(url)
      expect(await client.ended(), JSON.stringify(options)).to.include(message)
      await allGone((await child).pid!)
    }
  })
})
