import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { format } from 'node:util'
import { Worker } from 'node:worker_threads'
import { expect } from 'chai'
import createDebug from 'debug'
import { attach, autoFlush, bodyCache, maxBytes, passthroughProxy, pipeChild } from 'sluiceway'
import { RawClient } from '../support/clients/raw-client.js'
import { expressVersions } from '../support/express/express-versions.js'
import { Observer } from '../support/observed.js'
import { answer, scriptedUpstream, type ScriptedUpstream } from '../support/servers/scripted-upstream.js'
import { closeServers, listen } from '../support/servers/servers.js'
import { until } from '../support/time/until.js'

for (const { name, express } of expressVersions) {
  describe(`DEBUG=sluiceway:* (${name})`, () => {
    const { log } = createDebug
    let lines: string[]
    let upstream: ScriptedUpstream
    let client: RawClient

    beforeEach(async () => {
      lines = []
      createDebug.enable('sluiceway:*')
      createDebug.log = (...words: unknown[]) => void lines.push(format(...words))
      upstream = await scriptedUpstream()
      const app = express().set('env', 'test')
      const mounted = express.Router()
      mounted.use(autoFlush(), maxBytes(50), bodyCache({ memory: 10 }))
      mounted.use('/up', passthroughProxy(upstream.url))
      mounted.get('/run', (_req, res, next) => {
        pipeChild(res, spawn('sh', ['-c', 'exit 2'])).catch(next)
      })
      mounted.get('/exited', async (_req, res, next) => {
        const worker = new Worker('', { eval: true, stdout: true, stderr: true })
        await once(worker, 'exit')
        pipeChild(res, worker).catch(next)
      })
      mounted.get('/hostile', (_req, res, next) => {
        pipeChild(res, spawn('/none\nsluiceway:proxy \u202e\u001b[31m\u007f')).catch(next)
      })
      mounted.get('/broken', (_req, res) => {
        res.flushHeaders = () => {
          throw new Error('not\nsent')
        }
        res.writeHead(200)
      })
      app.use('/mounted', mounted)
      const server = createServer(app as RequestListener)
      attach(server, app as RequestListener)
      client = await RawClient.connect((await listen(server)).port)
    })
    afterEach(async () => {
      createDebug.disable()
      createDebug.log = log
      client.destroy()
      await closeServers()
    })

    /** The lines of a namespace, without what the terminal makes of it: colours, the time. */
    function linesOf(namespace: string): string[] {
      return lines.flatMap((line) => {
        // oxlint-disable-next-line no-control-regex
        const plain = line.replaceAll(/\u001b\[[\d;]*m/g, '')
        const at = plain.indexOf(`${namespace} `)
        return at === -1 ? [] : [plain.slice(at + namespace.length + 1).replace(/ \+\d+\w+$/, '')]
      })
    }

    it('prints a proxied request, its body, and its upstream', async () => {
      client.request('POST', '/mounted/up/x?y', {}, 'more than ten')
      const connection = await upstream.connection()
      await connection.untilText('ten')
      connection.write(answer('whole'))
      await client.response()
      expect(linesOf('sluiceway:body:spilled')[0]).to.match(/^POST \/mounted\/up\/x\?y: more than \d+ bytes/)
      expect(linesOf('sluiceway:body:stored')[0]).to.match(
        /^POST \/mounted\/up\/x\?y: 0 bytes .* 13 in a file$/,
      )
      expect(linesOf('sluiceway:proxy')).to.have.length(1)
      expect(linesOf('sluiceway:proxy')[0])
        .to.match(/^POST \/mounted\/up\/x\?y: 200 from http:[^ ]*\/x\?y; head after \d+ ms; /)
        .and.contain('; 13 bytes up, 5 down')
    })

    it('prints a refused body, with its figures', async () => {
      client.request('POST', '/mounted/up', {}, 'x'.repeat(60))
      await client.response()
      expect(linesOf('sluiceway:body:refused')).to.deep.equal([
        'POST /mounted/up: 413 ERR_SLUICEWAY_BODY_TOO_LARGE: request entity too large; limit 50, received 0, length 60',
      ])
    })

    it('prints an upstream that fails, with the errors behind the error', async () => {
      await closeServersButOurs()
      client.request('GET', '/mounted/up')
      await client.response()
      expect(linesOf('sluiceway:proxy')[0])
        .to.match(/^GET \/mounted\/up: no answer from http/)
        .and.contain('502 ERR_SLUICEWAY_UPSTREAM_RESET: the upstream closed the connection (')
    })

    it('prints a client that leaves', async () => {
      client.request('GET', '/mounted/up')
      await (await upstream.connection()).untilText('\r\n\r\n')
      client.destroy()
      await until(() => linesOf('sluiceway:proxy').length)
      expect(linesOf('sluiceway:proxy')[0]).to.match(
        /^GET \/mounted\/up: no answer .*, the client has left; over/,
      )
    })

    it('prints a stream, and a child', async () => {
      client.request('GET', '/mounted/run?1')
      await client.response()
      await until(() => linesOf('sluiceway:child:exit').length)
      expect(linesOf('sluiceway:flush')).to.deep.equal(['GET /mounted/run?1: streamed, as it is'])
      expect(linesOf('sluiceway:child:start')[0]).to.match(/^GET \/mounted\/run\?1: sh, process \d+$/)
      expect(linesOf('sluiceway:child:exit')[0]).to.match(/^GET \/mounted\/run\?1: code 2 after \d+ ms$/)
    })

    it('prints a child whose exit is not known', async () => {
      client.request('GET', '/mounted/exited')
      await client.response()
      await until(() => linesOf('sluiceway:child:exit').length)
      expect(linesOf('sluiceway:child:exit')[0]).to.match(
        /^GET \/mounted\/exited: exit not known after \d+ ms$/,
      )
    })

    it('prints an upgrade, and the tunnel that it becomes', async () => {
      client.write(
        'GET /mounted/up/ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n',
      )
      const connection = await upstream.connection()
      await connection.untilText('\r\n\r\n')
      connection.write('HTTP/1.1 101 OK\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n')
      await client.untilText('\r\n\r\n')
      expect(linesOf('sluiceway:upgrade')).to.deep.equal([
        'GET /mounted/up/ws: upgrade to websocket, goes to the app',
      ])
      expect(linesOf('sluiceway:proxy')[0]).to.match(
        /^GET \/mounted\/up\/ws: 101 from .*, a tunnel begins; head/,
      )
      client.socket.end()
      connection.socket.end()
      await until(() => linesOf('sluiceway:proxy').length === 2)
      expect(linesOf('sluiceway:proxy')[1]).to.match(
        /: 101 from .*, the tunnel is closed; head .* 0 bytes up, 0 down$/,
      )
    })

    it('prints one line for a contained exception, with the place where it was thrown', async () => {
      client.request('GET', '/mounted/broken')
      await client.closed()
      expect(linesOf('sluiceway:contained')).to.have.length(1)
      expect(linesOf('sluiceway:contained')[0]).to.match(
        /^GET \/mounted\/broken: the connection ends after Error: not\\u\{a\}sent, at .*debug-lines\.test/,
      )
    })

    it('shows the characters that would forge a line or steer the terminal', async () => {
      client.request('GET', '/mounted/hostile')
      await client.response()
      await until(() => linesOf('sluiceway:child:exit').length)
      const shown = '/none\\u{a}sluiceway:proxy \\u{202e}\\u{1b}[31m\\u{7f}'
      expect(linesOf('sluiceway:child:start')).to.deep.equal([`GET /mounted/hostile: ${shown}, no process`])
      expect(linesOf('sluiceway:child:exit')[0]).to.contain(`ENOENT: spawn ${shown} ENOENT`)
    })

    it('escapes them in text of a client, and shortens it', async () => {
      const token = Buffer.from(`w\u009b31m\u0085\t${'s'.repeat(300)}`, 'latin1')
      client.write(
        `GET /mounted/${'x'.repeat(300)} HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: `,
        token,
        '\r\n\r\n',
      )
      await client.response()
      expect(linesOf('sluiceway:upgrade')).to.deep.equal([
        `GET /mounted/${'x'.repeat(191)}…: upgrade to w\\u{9b}31m\\u{85}\\u{9}${'s'.repeat(193)}…, goes to the app`,
      ])
    })

    it('writes its line before a subscriber can change the message', async () => {
      const observer = new Observer()
      observer.on('sluiceway:flush', (message) => void Reflect.deleteProperty(message, 'req'))
      client.request('GET', '/mounted/run')
      await client.response()
      observer.end()
      expect(linesOf('sluiceway:flush')).to.deep.equal(['GET /mounted/run: streamed, as it is'])
    })

    it('can be switched on while the process runs, and off', async () => {
      createDebug.disable()
      client.request('GET', '/mounted/run')
      await client.response()
      expect(lines).to.deep.equal([])
    })

    /** Every connection of the upstream is closed as it comes. */
    async function closeServersButOurs(): Promise<void> {
      void (async () => (await upstream.connection()).destroy())()
    }
  })
}
