import { expect } from 'chai'
import express, { type RequestHandler } from 'express'
import { bodyCache, maxBytes, type FailedTarget, type TargetFunction } from 'sluiceway'
import { RawClient, type RawResponse } from '../../support/clients/raw-client.js'
import { answer, scriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers } from '../../support/servers/servers.js'
import { deferred } from '../../support/time/deferred.js'
import { needsOwnClient } from '../../support/undici/transports.js'
import { startWatched } from '../watched.js'
import { deadTargets, echoingUpstream, REFUSING, type Echo } from './dead-targets.js'

const LARGE = 'a body of many chunks; '.repeat(20_000)

/** The requests of a client: what is sent, and the body that the upstream is to get. */
const requests: Readonly<Record<string, readonly [method: string, sent: string | string[], body: string]>> = {
  'a GET': ['GET', '', ''],
  'a POST with a small body': ['POST', 'small', 'small'],
  'a POST with a large body': ['POST', LARGE, LARGE],
  'a POST in chunks': ['POST', ['one', 'two'], 'onetwo'],
}

const fronts: Readonly<Record<string, readonly RequestHandler[]>> = {
  nothing: [],
  'maxBytes and bodyCache': [maxBytes('1mb'), bodyCache()],
  'a parser behind bodyCache': [bodyCache(), express.text({ type: () => true, limit: '1mb' })],
}

function echoed({ body }: RawResponse): Echo {
  return JSON.parse(body.toString()) as Echo
}

/** A target function that gives one target after the other, and notes what it is told. */
function oneAfterTheOther(
  targets: readonly (string | undefined)[],
  told: FailedTarget[] = [],
): TargetFunction {
  return (_req, failed) => {
    if (failed !== undefined) told.push(failed)
    return targets[failed?.attempt ?? 0]
  }
}

describe('failover', () => {
  afterEach(closeServers)

  for (const [what, { start, code, options }] of Object.entries(deadTargets)) {
    it(`sends a request to the next target if the first ${what}`, async () => {
      const [dead, upstream] = [await start(), await echoingUpstream()]
      const told: FailedTarget[] = []
      const target = oneAfterTheOther([dead, `${upstream.url}/v1`], told)
      const { client, errors } = await startWatched(express(), target, options)
      for (const [method, sent, body] of Object.values(requests)) {
        client.request(method, '/x?y', {}, sent)
        expect(echoed(await client.response())).to.include({ method, url: '/v1/x?y', body })
        expect(told.pop())
          .to.deep.include({ target: dead, attempt: 1 })
          .and.have.nested.property('error.code', code)
      }
      expect(errors).to.deep.equal([])
      client.destroy()
    })
  }

  for (const [front, handlers] of Object.entries(fronts)) {
    for (const [what, [method, sent, body]] of Object.entries(requests)) {
      it(`sends the whole of ${what}, behind ${front}`, async () => {
        const upstream = await echoingUpstream()
        const app = express()
        for (const handler of handlers) app.use(handler)
        const { client } = await startWatched(app, oneAfterTheOther([REFUSING, upstream.url]))
        for (let i = 0; i < 3; i += 1) {
          client.request(method, '/x', {}, sent)
          expect(echoed(await client.response())).to.include({ method, body })
        }
        client.destroy()
      })
    }
  }

  it('continues with a body that is still arriving', async () => {
    const upstream = await scriptedUpstream()
    const { client } = await startWatched(express(), oneAfterTheOther([REFUSING, upstream.url]))
    client.write('POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 8\r\n\r\nhalf')
    const connection = await upstream.connection()
    await connection.untilText('half')
    client.write('rest')
    await connection.untilText('rest')
    connection.write(answer())
    expect((await client.response()).status).to.equal(200)
    client.destroy()
  })

  it('prepares the request anew for each target: prefix, mark, Host and hooks', async () => {
    const upstream = await echoingUpstream()
    const seen: string[][] = []
    const { client } = await startWatched(
      express(),
      oneAfterTheOther([`${REFUSING}/one`, `${upstream.url}/two`]),
      {
        onRequest({ path, headers }) {
          seen.push([path, String(headers.getAll('sluiceway-loop').length)])
          headers.append('X-Attempt', String(seen.length))
        },
      },
    )
    client.request('GET', '/x', { 'X-Forwarded-For': '10.0.0.1' })
    const { url, headers } = echoed(await client.response())
    expect(seen).to.deep.equal([
      ['/one/x', '1'],
      ['/two/x', '1'],
    ])
    expect(url).to.equal('/two/x')
    expect(headers).to.include({
      'x-attempt': '2',
      'x-forwarded-for': '127.0.0.1',
      host: new URL(upstream.url).host,
    })
    client.destroy()
  })

  it('sends the next target a request whose first one has a full queue', async () => {
    const [full, free] = [await scriptedUpstream(), await echoingUpstream()]
    const told: FailedTarget[] = []
    const target = oneAfterTheOther([full.url, free.url], told)
    const { client, port } = await startWatched(express(), target, { maxConnections: 1, maxQueue: 1 })
    const waiting = await RawClient.connect(port)
    const third = await RawClient.connect(port)
    client.request('GET', '/first')
    const connection = await full.connection()
    await connection.untilText('/first')
    waiting.request('GET', '/second')
    third.request('POST', '/third', {}, 'whole')
    // Either of the two may have come first.
    const served = await Promise.race([waiting.response(), third.response()])
    expect(echoed(served).url).to.match(/^.(second|third)$/)
    expect(told.map(({ error }) => error.code)).to.deep.equal(['ERR_SLUICEWAY_UPSTREAM_QUEUE_FULL'])
    for (const each of [client, waiting, third]) each.destroy()
  })

  it('asks again until no target is left, and then gives the last error', async () => {
    const targets = ['http://127.0.0.1:1', 'http://127.0.0.1:2', 'http://nowhere.invalid', undefined]
    const told: FailedTarget[] = []
    const { client, errors } = await startWatched(express(), oneAfterTheOther(targets, told))
    client.request('POST', '/', {}, 'body')
    expect((await client.response()).status).to.equal(502)
    expect(told.map(({ target, attempt }) => [target, attempt])).to.deep.equal(
      targets.slice(0, 3).map((target, at) => [target, at + 1]),
    )
    expect(errors).to.deep.equal([told[2]?.error])
    client.destroy()
  })

  for (const [what, next] of [
    ['the same target', 'http://127.0.0.1:1'],
    ['another path of the same target', 'http://127.0.0.1:1/other'],
    ['null', null],
  ] as const) {
    it(`ends with the error if the function returns ${what}`, async () => {
      let calls = 0
      const { client, errors } = await startWatched(express(), (_req, failed) => {
        calls += 1
        return failed === undefined ? REFUSING : next
      })
      client.request('GET', '/')
      expect((await client.response()).status).to.equal(502)
      expect(errors.map(({ code }) => code)).to.deep.equal(['ERR_SLUICEWAY_UPSTREAM_UNREACHABLE'])
      expect(calls).to.equal(2)
      client.destroy()
    })
  }

  it('tries at most 16 targets', async () => {
    let calls = 0
    const { client, errors } = await startWatched(express(), () => `http://127.0.0.1:${(calls += 1)}`)
    client.request('GET', '/')
    expect((await client.response()).status).to.equal(502)
    expect([calls, errors.length]).to.deep.equal([16, 1])
    client.destroy()
  })

  it('ends with a 500 if the function throws when it is asked again', async () => {
    const thrown = new Error('secret')
    const { client, errors } = await startWatched(express(), (_req, failed) => {
      if (failed !== undefined) throw thrown
      return REFUSING
    })
    client.request('POST', '/', {}, 'body')
    expect((await client.response()).status).to.equal(500)
    expect(errors[0]).to.include({ code: 'ERR_SLUICEWAY_PROXY_HOOK', cause: thrown })
    client.destroy()
  })

  it('keeps an error of this package that the function throws, such as the one it was given', async () => {
    const { client, errors } = await startWatched(express(), (_req, failed) => {
      if (failed !== undefined) throw failed.error
      return REFUSING
    })
    client.request('GET', '/')
    expect((await client.response()).status).to.equal(502)
    expect(errors[0]).to.have.property('code', 'ERR_SLUICEWAY_UPSTREAM_UNREACHABLE')
    client.destroy()
  })

  it('prepares nothing more for a client that has left while the function was asked again', async () => {
    const upstream = await echoingUpstream()
    const hooks: unknown[] = []
    const asked = deferred()
    const gone = deferred()
    const done = deferred()
    const app = express().use((_req, res, next) => {
      res.once('close', () => gone.resolve())
      next()
    })
    const target: TargetFunction = async (_req, failed) => {
      if (failed === undefined) return REFUSING
      asked.resolve()
      await gone.promise
      setImmediate(() => done.resolve())
      return upstream.url
    }
    const { client, errors } = await startWatched(app, target, {
      onRequest: ({ path }) => void hooks.push(path),
    })
    client.request('POST', '/left', {}, 'body')
    await asked.promise
    client.destroy()
    await done.promise
    expect([hooks, errors, upstream.connections]).to.deep.equal([['/left'], [], []])
  })

  it('sends a GET elsewhere if its kept connection has died, and its upstream with it', async function () {
    needsOwnClient(this, 'undici repeats nothing')
    const [dying, upstream] = [await scriptedUpstream(), await echoingUpstream()]
    const told: FailedTarget[] = []
    const { client } = await startWatched(express(), oneAfterTheOther([dying.url, upstream.url], told))
    client.request('GET', '/first')
    const kept = await dying.connection()
    await kept.untilText('/first')
    kept.write(answer())
    await client.response()
    client.request('GET', '/again')
    await kept.untilText('/again')
    dying.stopListening()
    kept.socket.resetAndDestroy()
    expect(echoed(await client.response())).to.include({ url: '/again' })
    expect(told).to.have.length(1)
    client.destroy()
  })

  it('does not go elsewhere once an upstream may have received a part of the request', async () => {
    const upstream = await scriptedUpstream()
    const told: FailedTarget[] = []
    const { client, errors } = await startWatched(express(), oneAfterTheOther([upstream.url, REFUSING], told))
    for (const method of ['GET', 'POST']) {
      client.request(method, '/', {}, method === 'POST' ? 'body' : undefined)
      const connection = await upstream.connection()
      await connection.untilText('\r\n\r\n')
      connection.socket.resetAndDestroy()
      expect((await client.response()).status).to.equal(502)
    }
    expect(told).to.deep.equal([])
    expect(errors.map(({ code }) => code)).to.deep.equal(Array(2).fill('ERR_SLUICEWAY_UPSTREAM_RESET'))
    client.destroy()
  })

  it('does not go elsewhere if the upstream is silent, or the proxy is closed', async () => {
    const upstream = await scriptedUpstream()
    const told: FailedTarget[] = []
    const target = oneAfterTheOther([upstream.url, REFUSING], told)
    const { client, errors, proxy } = await startWatched(express(), target, { headersTimeoutMs: 50 })
    client.request('GET', '/silent')
    expect((await client.response()).status).to.equal(504)
    await proxy.close()
    client.request('GET', '/closed')
    expect((await client.response()).status).to.equal(502)
    expect(told).to.deep.equal([])
    expect(errors).to.have.length(2)
    client.destroy()
  })
})
