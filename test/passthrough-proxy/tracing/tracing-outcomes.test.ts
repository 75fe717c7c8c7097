import { expect } from 'chai'
import { bodyCache, maxBytes } from 'sluiceway'
import { answer } from '../../support/servers/scripted-upstream.js'
import { until } from '../../support/time/until.js'
import { describeObserved, type Before, FAILED, numbers, WHOLE } from './observed-proxy.js'

describeObserved('messages about the end of a proxied request', (proxy) => {
  it('report a client that leaves before the answer, in its context', async () => {
    const { start, upstream, observer, told, events, ended } = proxy()
    const contexts: (string | undefined)[] = []
    observer.on('tracing:sluiceway:proxy:asyncEnd', () => contexts.push(numbers.getStore()))
    const client = await start()
    client.request('GET', '/api/', { 'X-Number': '7' })
    await (await upstream.connection()).untilText('\r\n\r\n')
    client.destroy()
    expect(await ended()).to.include({ outcome: 'client-left', status: undefined, headMs: undefined })
    expect(told[0]![1].error).to.equal(undefined)
    expect(events()).to.deep.equal(WHOLE)
    expect(contexts).to.deep.equal(['7'])
  })

  it('report a client that leaves within the answer', async () => {
    const { start, upstream, events, ended } = proxy()
    const client = await start()
    client.request('GET', '/api/')
    const connection = await upstream.connection()
    await connection.untilText('\r\n\r\n')
    connection.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfour')
    await client.untilText('four')
    client.destroy()
    expect(await ended()).to.include({ outcome: 'client-left', status: 200, responseBytes: 4 })
    expect(events()).to.deep.equal(WHOLE)
  })

  it('report a client that leaves within a body whose answer waits behind another', async () => {
    const { start, upstream, told, events } = proxy()
    const client = await start()
    client.request('GET', '/api/first')
    const first = await upstream.connection()
    await first.untilText('\r\n\r\n')
    client.write('POST /api/ HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nfour')
    await (await upstream.connection()).untilText('four')
    client.destroy()
    await until(() => events().filter((event) => event === 'asyncEnd').length === 2)
    for (const [, { outcome, error }] of told)
      expect([outcome, error]).to.deep.equal(['client-left', undefined])
  })

  it('report a client that leaves within its body, behind bodyCache', async () => {
    const { start, upstream, ended } = proxy()
    const client = await start({}, { before: bodyCache() })
    client.write('POST /api/ HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nfour')
    await (await upstream.connection()).untilText('four')
    client.destroy()
    expect(await ended()).to.include({ outcome: 'client-left', requestBytes: 4, error: undefined })
  })

  it('report a body that is refused on its way as an error, and not as a client that left', async () => {
    const { start, upstream, ended } = proxy()
    const client = await start({}, { before: maxBytes(9) })
    client.write('POST /api/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n')
    await (await upstream.connection()).untilText('four')
    client.write('6\r\n and 6\r\n')
    expect((await client.response()).status).to.equal(413)
    const { outcome, error } = await ended()
    expect(outcome).to.equal('failed')
    expect(error).to.have.property('code', 'ERR_SLUICEWAY_BODY_TOO_LARGE')
  })

  it('report a client that leaves within its body', async () => {
    const { start, upstream, events, ended } = proxy()
    const client = await start()
    client.write('POST /api/ HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nfour')
    await (await upstream.connection()).untilText('four')
    client.destroy()
    expect(await ended()).to.include({ outcome: 'client-left', requestBytes: 4, error: undefined })
    expect(events()).to.deep.equal(WHOLE)
  })

  it('report a client that leaves while a hook is at work', async () => {
    const { start, events, ended } = proxy()
    let go: () => void = () => {}
    const client = await start({ onRequest: () => new Promise<void>((resolve) => (go = resolve)) })
    client.request('GET', '/api/', { 'X-Number': '3' })
    await until(() => go.name === '')
    client.destroy()
    expect(await ended()).to.include({ outcome: 'client-left', outgoing: undefined })
    expect(events()).to.deep.equal(WHOLE)
    go()
    await new Promise(setImmediate)
    expect(events()).to.deep.equal(WHOLE)
  })

  it('report an upstream that cannot be reached', async () => {
    const { start, errors, events, ended } = proxy()
    const client = await start({}, { target: 'http://127.0.0.1:9' })
    client.request('GET', '/api/')
    expect((await client.response()).status).to.equal(502)
    const { outcome, error, status } = await ended()
    expect({ outcome, error, status }).to.deep.equal({
      outcome: 'failed',
      error: errors[0],
      status: undefined,
    })
    expect(errors[0]?.code).to.equal('ERR_SLUICEWAY_UPSTREAM_UNREACHABLE')
    expect(events()).to.deep.equal(FAILED)
  })

  it('report an answer that is cut', async () => {
    const { start, upstream, events, ended } = proxy()
    const client = await start()
    client.request('GET', '/api/')
    const connection = await upstream.connection()
    await connection.untilText('\r\n\r\n')
    connection.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfour')
    await client.untilText('four')
    connection.destroy()
    const { outcome, status, error } = await ended()
    expect({ outcome, status }).to.deep.equal({ outcome: 'failed', status: 200 })
    expect(error).to.have.property('code', 'ERR_SLUICEWAY_UPSTREAM_RESET')
    expect(events()).to.deep.equal(['start', 'end', 'asyncStart', 'error', 'asyncEnd'])
  })

  it('report a request that is refused before it is sent', async () => {
    const { start, events, ended } = proxy()
    const client = await start({
      onRequest() {
        throw new Error('no')
      },
    })
    client.request('GET', '/api/')
    expect((await client.response()).status).to.equal(500)
    const { outgoing, outcome, error } = await ended()
    expect({ outgoing, outcome }).to.deep.equal({ outgoing: undefined, outcome: 'failed' })
    expect(error).to.have.property('code', 'ERR_SLUICEWAY_PROXY_HOOK')
    expect(events()).to.deep.equal(FAILED)
  })

  it('report an application that answers itself', async () => {
    const { start, upstream, ended } = proxy()
    let answerItself = (): void => {}
    const before: Before = (_req, res, next) => {
      answerItself = () => void res.writeHead(503).end('late')
      next()
    }
    const client = await start({}, { before })
    client.request('GET', '/api/')
    await (await upstream.connection()).untilText('\r\n\r\n')
    answerItself()
    expect((await client.response()).status).to.equal(503)
    expect(await ended()).to.include({ outcome: 'answered-here', status: undefined })
  })

  it('report a tunnel from its 101 to its end, with the bytes of both directions', async () => {
    const { start, upstream, events, ended } = proxy()
    const client = await start()
    client.write(
      'GET /api/chat HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nearly',
    )
    const connection = await upstream.connection()
    await connection.untilText('\r\n\r\n')
    connection.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhi',
    )
    await client.untilText('\r\n\r\nhi')
    await connection.untilText('early')
    expect(events()).to.deep.equal(['start', 'end', 'asyncStart'])
    client.write('ping')
    await connection.untilText('ping')
    connection.write('pong!')
    await client.untilText('pong!')
    expect(events()).to.deep.equal(['start', 'end', 'asyncStart'])
    client.socket.end()
    connection.socket.end()
    expect(await ended()).to.include({
      status: 101,
      outcome: 'upgraded',
      requestBytes: 9,
      responseBytes: 7,
    })
    expect(events()).to.deep.equal(WHOLE)
  })

  it('report the end of a tunnel whose client breaks off', async () => {
    const { start, upstream, ended } = proxy()
    const client = await start()
    client.write('GET /api/ HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n')
    const connection = await upstream.connection()
    await connection.untilText('\r\n\r\n')
    connection.write('HTTP/1.1 101 OK\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n')
    await client.untilText('\r\n\r\n')
    client.socket.resetAndDestroy()
    expect(await ended()).to.include({ status: 101, outcome: 'upgraded' })
  })

  it('report a client once that leaves while a middleware holds the 101 back', async () => {
    const { start, upstream, events, ended } = proxy()
    let held = (): void => {}
    const before: Before = (_req, res, next) => {
      const end = res.end.bind(res)
      res.end = () => {
        held = () => void end()
        return res
      }
      next()
    }
    const client = await start({}, { before })
    client.write('GET /api/ HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n')
    const connection = await upstream.connection()
    await connection.untilText('\r\n\r\n')
    connection.write('HTTP/1.1 101 OK\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n')
    await until(() => events().length === 3)
    client.socket.resetAndDestroy()
    expect(await ended()).to.include({ outcome: 'client-left' })
    held()
    await connection.closed()
    expect(events()).to.deep.equal(WHOLE)
  })

  it('report an upgrade that the upstream does not accept', async () => {
    const { start, upstream, ended } = proxy()
    const client = await start()
    client.write('GET /api/ HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n')
    const connection = await upstream.connection()
    await connection.untilText('\r\n\r\n')
    connection.write(answer('no'))
    await client.response()
    expect(await ended()).to.include({ status: 200, outcome: 'answered', responseBytes: 2 })
  })
})
