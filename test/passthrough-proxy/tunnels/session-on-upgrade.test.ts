import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { expect } from 'chai'
import type { Request } from 'express'
import session, { MemoryStore, type SessionData, type SessionOptions } from 'express-session'
import { passthroughProxy } from 'sluiceway'
import { WebSocket, WebSocketServer } from 'ws'
import { RawClient } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { attached } from '../../support/servers/attached.js'
import { scriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, listen } from '../../support/servers/servers.js'
import { deferred } from '../../support/time/deferred.js'
import { turns } from '../../support/time/turns.js'

declare module 'express-session' {
  interface SessionData {
    views: number
  }
}

/** Tells what is done with sessions, and when it is done. */
class WatchedStore extends MemoryStore {
  declare readonly sessions: Record<string, string>
  readonly done: string[] = []
  /** Lets a session be saved. */
  gate = Promise.resolve()

  override set(id: string, data: SessionData, callback?: (error?: unknown) => void): void {
    void this.gate.then(() =>
      super.set(id, data, (error) => {
        this.done.push('saved')
        callback?.(error)
      }),
    )
  }

  override touch(id: string, data: SessionData, callback?: () => void): void {
    super.touch(id, data, () => {
      this.done.push('touched')
      callback?.()
    })
  }
}

for (const { name, express } of expressVersions) {
  describe(`express-session in front of the proxy, on upgrades (${name})`, () => {
    let store: WatchedStore
    let upstream: WebSocketServer
    let target: string

    beforeEach(async () => {
      store = new WatchedStore()
      const { server, url } = await listen(createServer())
      upstream = new WebSocketServer({ server })
      upstream.on('connection', (socket) => socket.on('message', (data) => socket.send(data)))
      target = url
    })
    afterEach(async () => {
      for (const socket of upstream.clients) socket.terminate()
      upstream.close()
      await closeServers()
    })

    /** `changes` is what the app does with the session on an upgrade. */
    async function start(
      options: Partial<SessionOptions>,
      changes: (req: Request) => void,
      to = target,
    ): Promise<number> {
      const app = express()
      app.use(session({ secret: 'secret', resave: false, saveUninitialized: false, store, ...options }))
      app.get('/views', (req, res) => {
        req.session.views ??= 0
        res.json(req.session.views)
      })
      app.use((req, _res, next) => {
        changes(req)
        next()
      }, passthroughProxy(to))
      return (await attached(app)).port
    }

    /** Opens a WebSocket; gives the cookie that it was sent, and what the store has done by then. */
    async function opened(
      port: number,
      cookie = '',
    ): Promise<{ cookie: string | undefined; done: string[] }> {
      const client = new WebSocket(`ws://127.0.0.1:${port}/`, { headers: cookie === '' ? {} : { cookie } })
      const upgraded = once(client, 'upgrade') as Promise<[IncomingMessage]>
      await once(client, 'open')
      const done = [...store.done]
      client.send('still there')
      expect(String((await once(client, 'message'))[0])).to.equal('still there')
      client.close()
      await once(client, 'close')
      return { cookie: (await upgraded)[0].headers['set-cookie']?.[0]?.split(';')[0], done }
    }

    async function viewsOf(port: number, cookie: string | undefined): Promise<unknown> {
      const response = await fetch(`http://127.0.0.1:${port}/views`, { headers: { cookie: cookie ?? '' } })
      return response.json()
    }

    function count({ session: own }: Request): void {
      own.views = (own.views ?? 0) + 1
    }

    it('is saved, with its cookie on the 101, before the client gets the 101', async () => {
      const port = await start({}, count)
      const { cookie, done } = await opened(port)
      expect(done).to.deep.equal(['saved'])
      expect(cookie).to.match(/^connect\.sid=/)
      expect(await viewsOf(port, cookie)).to.equal(1)
      await opened(port, cookie)
      expect(await viewsOf(port, cookie)).to.equal(2)
    })

    it('is touched if it has not changed, and gets a cookie if it is rolling', async () => {
      for (const [rolling, expected] of [
        [false, /^$/],
        [true, /^connect\.sid=/],
      ] as const) {
        const port = await start({ rolling, cookie: { maxAge: 60_000 } }, () => {})
        const first = await fetch(`http://127.0.0.1:${port}/views`)
        const cookie = first.headers.get('set-cookie')?.split(';')[0]
        store.done.length = 0
        const opening = await opened(port, cookie)
        expect(opening.done).to.deep.equal(['touched'])
        expect(opening.cookie ?? '').to.match(expected)
      }
    })

    it('is neither saved nor sent if it is empty', async () => {
      const port = await start({}, () => {})
      expect(await opened(port)).to.deep.equal({ cookie: undefined, done: [] })
    })

    it('is destroyed if the app has unset it', async () => {
      const port = await start({ unset: 'destroy' }, () => {})
      const first = await fetch(`http://127.0.0.1:${port}/views`)
      const app = await start({ unset: 'destroy' }, (req) => Reflect.set(req, 'session', null))
      expect(Object.keys(store.sessions)).to.have.length(1)
      await opened(app, first.headers.get('set-cookie')?.split(';')[0])
      expect(Object.keys(store.sessions)).to.have.length(0)
    })

    it('holds back both ends of the tunnel until it is saved', async () => {
      const opening = deferred()
      store.gate = opening.promise
      const scripted = await scriptedUpstream()
      const client = await RawClient.connect(await start({}, count, scripted.url))
      client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly')
      const connection = await scripted.connection()
      await connection.untilText('\r\n\r\n')
      connection.write(
        'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello',
      )
      await new Promise(setImmediate)
      expect(client.pending.length).to.equal(0)
      opening.resolve()
      expect(await client.untilText('hello')).to.match(/^HTTP\/1\.1 101 .*\r\nset-cookie: .*\r\n\r\nhello$/is)
      await connection.untilText('early')
      client.destroy()
      await connection.closed()
    })

    for (const [who, leave] of [
      ['client', (client: RawClient): void => void client.socket.resetAndDestroy()],
      [
        'upstream',
        (_client: RawClient, connection: RawClient): void => void connection.socket.resetAndDestroy(),
      ],
    ] as const) {
      it(`ends both connections if the ${who} leaves before it is saved`, async () => {
        const opening = deferred()
        store.gate = opening.promise
        const scripted = await scriptedUpstream()
        const client = await RawClient.connect(await start({}, count, scripted.url))
        client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
        const connection = await scripted.connection()
        await connection.untilText('\r\n\r\n')
        connection.write(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
        )
        await new Promise(setImmediate)
        leave(client, connection)
        await turns(50)
        if (who === 'upstream') opening.resolve()
        await Promise.all([client.closed(), connection.closed()])
        opening.resolve()
      })
    }
  })
}
