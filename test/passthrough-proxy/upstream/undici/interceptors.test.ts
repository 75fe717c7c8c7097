import { expect } from 'chai'
import type * as undici7 from 'undici'
import type { RawClient } from '../../../support/clients/raw-client.js'
import { serve } from '../../../support/servers/servers.js'
import { until } from '../../../support/time/until.js'
import { undiciVersions, type Undici } from '../../../support/undici/undici-versions.js'
import { endAll, keep, startProxy } from './dispatchers.js'

type Dispatch = undici7.Dispatcher['dispatch']

type Start = NonNullable<undici7.Dispatcher.DispatchHandler['onResponseStart']>

/** A handler that begins a response in another way, and otherwise behaves like `handler`. */
function beginning(handler: object, begin: (start: Start, ...given: Parameters<Start>) => void): object {
  const start = (handler as { onResponseStart: Start }).onResponseStart.bind(handler)
  return new Proxy(handler, {
    get(_target, name) {
      if (name === 'onResponseStart') return begin.bind(undefined, start)
      const member = Reflect.get(handler, name) as unknown
      return typeof member === 'function' ? (member.bind(handler) as unknown) : member
    },
  })
}

function withoutSecret(dispatch: Dispatch): Dispatch {
  return (options, handler) =>
    dispatch(
      options,
      beginning(handler, (start, controller, status, { 'x-secret': _secret, ...headers }, reason) =>
        start(controller, status, headers, reason),
      ),
    )
}

for (const [version, load] of undiciVersions) {
  describe(`passthroughProxy with a dispatcher of ${version}`, () => {
    let undici: Undici

    before(async () => {
      undici = await load()
    })
    afterEach(endAll)

    it('uses the headers that an interceptor has changed', async () => {
      const { url } = await serve((_req, res) => {
        res.setHeader('X-Secret', 'no').setHeader('X-Kept', ['1', '2']).end('body')
      })
      const dispatcher = keep(new undici.Agent()).compose(withoutSecret)
      const { client } = await startProxy(url, dispatcher)
      client.request('GET', '/')
      const { headers, body } = await client.response()
      expect(body.toString()).to.equal('body')
      expect(headers['x-kept']).to.deep.equal(['1', '2'])
      expect(headers).not.to.have.any.keys('x-secret')
    })

    it('sends a request again that an interceptor repeats', async () => {
      let asked = 0
      const { url } = await serve((_req, res) => {
        asked += 1
        res.statusCode = asked === 1 ? 503 : 200
        res.end(String(asked))
      })
      const dispatcher = keep(new undici.Agent())
      const retry = undici.interceptors.retry({ minTimeout: 1, maxRetries: 2 })
      const { client } = await startProxy(url, dispatcher.compose(retry as never))
      client.request('GET', '/')
      const { status, body } = await client.response()
      expect([status, body.toString()]).to.deep.equal([200, '2'])
    })

    describe('and an interceptor that fails', () => {
      /** Fails the first `times` requests, each in the way it is told. */
      function failing(times: number, how: (...asked: Parameters<Dispatch>) => unknown) {
        let left = times
        return (dispatch: Dispatch): Dispatch =>
          (options, handler) =>
            left-- > 0 ? (how(options, handler) as boolean) : dispatch(options, handler)
      }

      for (const [what, how, code] of [
        [
          'as it is called',
          () => {
            throw new Error('broken')
          },
          'ERR_SLUICEWAY_PROXY_HOOK',
        ],
        ['later', () => Promise.reject(new Error('broken')), 'ERR_SLUICEWAY_PROXY_HOOK'],
        [
          'with a value that is not an error',
          () => {
            // oxlint-disable-next-line no-throw-literal
            throw 'broken' as unknown
          },
          'ERR_SLUICEWAY_PROXY_HOOK',
        ],
        [
          'by the handler',
          (_options, handler) => {
            handler.onResponseError?.(null as never, new Error('broken'))
            return true
          },
          'ERR_SLUICEWAY_UPSTREAM_UNREACHABLE',
        ],
      ] as [string, (...asked: Parameters<Dispatch>) => unknown, string][]) {
        it(`${what} frees its place, and gives an error with a code`, async () => {
          const { url } = await serve((_req, res) => res.end('fine'))
          const dispatcher = keep(new undici.Agent()).compose(failing(3, how))
          const { client, errors } = await startProxy(url, dispatcher, { maxQueue: 1 })
          for (let n = 0; n < 3; n++) {
            client.request('GET', '/')
            expect((await client.response()).status).to.be.oneOf([500, 502])
          }
          client.request('GET', '/')
          expect((await client.response()).body.toString()).to.equal('fine')
          expect(errors.map((error) => error.code)).to.deep.equal([code, code, code])
          expect(String(errors[0]?.cause)).to.contain('broken')
        })
      }

      it('within a response ends only that exchange', async () => {
        const { url } = await serve((_req, res) => res.end('fine'))
        let left = 1
        const breaking =
          (dispatch: Dispatch): Dispatch =>
          (options, handler) =>
            dispatch(
              options,
              beginning(handler, (begin, ...given) => {
                if (left-- > 0) throw new Error('broken')
                begin(...given)
              }),
            )
        const dispatcher = keep(new undici.Agent()).compose(breaking)
        const { client, errors } = await startProxy(url, dispatcher, { maxQueue: 1 })
        client.request('GET', '/')
        expect((await client.response()).status).to.equal(502)
        client.request('GET', '/')
        expect((await client.response()).body.toString()).to.equal('fine')
        expect(errors.map(({ code }) => code)).to.deep.equal(['ERR_SLUICEWAY_UPSTREAM_RESET'])
      })
    })

    it('frees the place of a request that an interceptor answers by itself', async () => {
      const answering = (): Dispatch => (_options, handler) => {
        const controller = { abort() {}, pause() {}, resume() {} } as never
        handler.onResponseStart?.(controller, 200, { 'content-length': '4' }, 'OK')
        handler.onResponseData?.(controller, Buffer.from('mine'))
        handler.onResponseEnd?.(controller, {})
        return true
      }
      const dispatcher = keep(new undici.Agent()).compose(answering)
      const { client } = await startProxy('http://upstream', dispatcher, { maxQueue: 1 })
      for (let n = 0; n < 3; n++) {
        client.request('GET', '/')
        expect((await client.response()).body.toString()).to.equal('mine')
      }
    })

    it('gets headers of its own for each attempt to reach an upstream', async () => {
      const { url } = await serve((req, res) => res.end(JSON.stringify(req.rawHeaders)))
      let left = 2
      const unreachable =
        (dispatch: Dispatch): Dispatch =>
        (options, handler) => {
          if (left-- <= 0) return dispatch(options, handler)
          const error = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })
          setImmediate(() => handler.onResponseError?.(null as never, error))
          return true
        }
      const withKey =
        (dispatch: Dispatch): Dispatch =>
        (options, handler) => {
          ;(options.headers as string[]).push('X-Key', 'secret')
          return dispatch(options, handler)
        }
      const dispatcher = keep(new undici.Agent()).compose(unreachable, withKey)
      const { client } = await startProxy(url, dispatcher)
      client.request('GET', '/')
      const lines = JSON.parse((await client.response()).body.toString()) as string[]
      expect(lines.filter((part) => part === 'X-Key')).to.have.length(1)
    })

    describe('and an interceptor that continues an answer on another connection', () => {
      type Handler = Parameters<Dispatch>[1]

      class Connection {
        readonly calls: string[] = []
        readonly rawHeaders = undefined
        abort = (): void => void this.calls.push('abort')
        pause = (): void => void this.calls.push('pause')
        resume = (): void => void this.calls.push('resume')
      }

      async function startAnswer(): Promise<{ client: RawClient; handler: Handler }> {
        let handler: Handler | undefined
        const taking = (): Dispatch => (_options, given) => {
          handler = given
          return true
        }
        const { client } = await startProxy('http://upstream', keep(new undici.Agent()).compose(taking))
        client.socket.removeAllListeners('data').pause()
        client.request('GET', '/')
        await until(() => handler !== undefined)
        const first = new Connection()
        handler?.onRequestStart?.(first as never, {})
        handler?.onResponseStart?.(first as never, 200, {}, 'OK')
        return { client, handler: handler as Handler }
      }

      it('pauses and continues that one', async () => {
        const { client, handler } = await startAnswer()
        const second = new Connection()
        await until(() => {
          handler.onResponseData?.(second as never, Buffer.alloc(256 * 1024))
          return second.calls.length > 0
        })
        client.socket.resume()
        await until(() => second.calls.length > 1)
        expect(second.calls).to.deep.equal(['pause', 'resume'])
      })

      it('ends that one if the client has left in between', async () => {
        const { client, handler } = await startAnswer()
        client.destroy()
        const second = new Connection()
        await until(() => {
          handler.onResponseData?.(second as never, Buffer.from('x'))
          return second.calls.includes('abort')
        })
      })
    })

    it('is a 502 after its owner has closed it', async () => {
      const { url } = await serve((_req, res) => res.end('fine'))
      const dispatcher = new undici.Agent()
      await dispatcher.close()
      const { client, errors } = await startProxy(url, dispatcher)
      client.request('GET', '/')
      expect((await client.response()).status).to.equal(502)
      expect(errors[0]).to.have.property('code', 'ERR_SLUICEWAY_UPSTREAM_UNREACHABLE')
    })
  })
}
