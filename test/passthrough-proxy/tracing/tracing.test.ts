import { AsyncLocalStorage } from 'node:async_hooks'
import { channel } from 'node:diagnostics_channel'
import type { IncomingMessage } from 'node:http'
import { expect } from 'chai'
import type { ProxiedRequest } from 'sluiceway'
import type { RawClient } from '../../support/clients/raw-client.js'
import { answer } from '../../support/servers/scripted-upstream.js'
import { describeObserved, FAILED, numberOf, numbers, WHOLE } from './observed-proxy.js'

describeObserved('messages about a proxied request', (proxy) => {
  it('have the head, the times and the bytes of a whole exchange', async () => {
    const { start, upstream, told, events, ended } = proxy()
    const client = await start()
    client.request('POST', '/api/x?y', { 'X-Number': '1' }, ['abc', 'defg'])
    const connection = await upstream.connection()
    await connection.untilText('0\r\n\r\n')
    expect(events()).to.deep.equal(['start', 'end'])
    const [, message] = told[0]!
    const { method, origin, path, headers } = message.outgoing!
    expect({ method, origin, path }).to.deep.equal({ method: 'POST', origin: upstream.url, path: '/x?y' })
    expect(headers.get('X-NUMBER')).to.equal('1')
    expect([message.status, message.headMs, message.totalMs, message.outcome]).to.deep.equal(
      Array(4).fill(undefined),
    )
    connection.write('HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n')
    await client.untilText('hello')
    expect(events()).to.deep.equal(['start', 'end', 'asyncStart'])
    expect([message.status, message.totalMs, message.outcome]).to.deep.equal([201, undefined, undefined])
    connection.write('6\r\n world\r\n0\r\n\r\n')
    await client.untilText('0\r\n\r\n')
    expect(await ended()).to.include({
      status: 201,
      requestBytes: 7,
      responseBytes: 11,
      isRetried: false,
      outcome: 'answered',
      error: undefined,
    })
    expect(events()).to.deep.equal(WHOLE)
    expect(message.headMs).to.be.above(0)
    expect(message.totalMs).to.be.at.least(message.headMs!)
    expect(message.res.req).to.equal(message.req)
  })

  it('count a small body, and an answer that comes in one piece', async () => {
    const { start, upstream, ended } = proxy()
    const client = await start()
    client.request('POST', '/api/', {}, 'abc')
    const connection = await upstream.connection()
    await connection.untilText('abc')
    connection.write(answer('whole'))
    await client.response()
    expect(await ended()).to.include({ requestBytes: 3, responseBytes: 5, status: 200 })
  })

  it('let a subscriber set a header of the outgoing head, in place of the lines of the client', async () => {
    const { start, upstream, observer, ended } = proxy()
    observer.on('tracing:sluiceway:proxy:start', ({ outgoing }) => {
      outgoing?.headers.set('traceparent', '00-ours')
      outgoing?.headers.delete('X-Secret')
    })
    const client = await start()
    client.write(
      'GET /api/ HTTP/1.1\r\nHost: a\r\nTraceparent: 00-one\r\nX-Secret: 1\r\ntraceparent: 00-two\r\nA: b\r\n\r\n',
    )
    const connection = await upstream.connection()
    const head = await connection.untilText('\r\n\r\n')
    expect(head.match(/^traceparent:.*$/gim)).to.deep.equal(['traceparent: 00-ours'])
    expect(head).to.not.match(/x-secret/i)
    expect(head).to.contain('A: b\r\n')
    connection.write(answer())
    await client.response()
    expect(await ended()).to.include({ outcome: 'answered' })
  })

  it('ignore a change of the head after the start', async () => {
    const { start, upstream, observer } = proxy()
    observer.on('tracing:sluiceway:proxy:end', ({ outgoing }) => outgoing?.headers.set('late', '1'))
    const client = await start()
    client.request('GET', '/api/')
    const connection = await upstream.connection()
    expect(await connection.untilText('\r\n\r\n')).to.not.contain('late')
    connection.write(answer())
    await client.response()
  })

  it('report a head that cannot be sent as an error of this side, and not of the client', async () => {
    const { start, observer, errors, events, ended } = proxy()
    observer.on('tracing:sluiceway:proxy:start', ({ outgoing }) => outgoing?.headers.set('a', 'b\r\nc: d'))
    const client = await start()
    client.request('GET', '/api/')
    expect((await client.response()).status).to.equal(500)
    expect(errors.map(({ code }) => code)).to.deep.equal(['ERR_SLUICEWAY_PROXY_HOOK'])
    const { outcome, error } = await ended()
    expect({ outcome, error }).to.deep.equal({ outcome: 'failed', error: errors[0] })
    expect(events()).to.deep.equal(FAILED)
  })

  it('are published in the context of the request, with the stores that are bound to its start', async () => {
    const { start, upstream, observer } = proxy()
    const bound = new AsyncLocalStorage<string>()
    const starting = channel('tracing:sluiceway:proxy:start')
    starting.bindStore(bound, (message) => `span ${numberOf((message as ProxiedRequest).req)}`)
    const found: (string | undefined)[][] = []
    const note = (event: string, { req }: { req: IncomingMessage }): void => {
      found.push([event, numberOf(req), numbers.getStore(), bound.getStore()])
    }
    for (const event of ['start', 'end', 'asyncStart', 'asyncEnd'] as const) {
      observer.on(`tracing:sluiceway:proxy:${event}`, (message) => note(event, message))
    }
    const client = await start({ onResponse: (_incoming, req) => note('onResponse', { req }) })
    let connection: RawClient | undefined
    for (const number of ['1', '2']) {
      client.request('GET', '/api/', { 'X-Number': number })
      connection ??= await upstream.connection()
      await connection.untilText('\r\n\r\n')
      connection.write(answer())
      await client.response()
    }
    starting.unbindStore(bound)
    for (const number of ['1', '2']) {
      const own = found.filter(([, of]) => of === number)
      expect(own.map(([event]) => event)).to.have.members([...WHOLE, 'onResponse'])
      for (const [event, , context, span] of own) {
        expect([event, context, span]).to.deep.equal([event, number, `span ${number}`])
      }
    }
  })
})
