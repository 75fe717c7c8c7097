import { expect } from 'chai'
import express from 'express'
import { passthroughProxy, type PassthroughProxyOptions } from 'sluiceway'
import { passthroughProxy as fromSubpath } from 'sluiceway/passthrough-proxy'
import { Agent } from 'undici'
import { RawClient } from '../../support/clients/raw-client.js'
import { closeServers, serve } from '../../support/servers/servers.js'

const URL_ = 'http://127.0.0.1:9'

describe('passthroughProxy options', () => {
  afterEach(closeServers)

  it('may be undefined, {} or have undefined fields', () => {
    expect(fromSubpath).to.equal(passthroughProxy)
    for (const options of [undefined, {}, Object.create(null), { path: undefined, upgrade: undefined }]) {
      expect(passthroughProxy(URL_, options)).to.have.property('name', 'passthroughProxyMiddleware')
    }
    expect(passthroughProxy(URL_, { onRequest() {} })).to.have.property('name', 'passthroughProxyMiddleware')
  })

  for (const target of [undefined, null, 1, '', 'localhost:80', '/path', 'ftp://x', 'http://', {}]) {
    it(`refuse the target ${JSON.stringify(target)}`, () => {
      expect(() => passthroughProxy(target as string)).to.throw(
        TypeError,
        /^passthroughProxy: target must be /,
      )
    })
  }

  it('suggest the URL of a target without a scheme', () => {
    const hosts = ['localhost:4000', '127.0.0.1:4000', 'my_upstream:80/api', '[::1]:4000']
    for (const target of [...hosts, 'api.example', 'www.api.example/v1', '10.0.0.1', 'localhost']) {
      expect(() => passthroughProxy(target)).to.throw(TypeError, `; did you mean 'http://${target}'?`)
    }
    expect(() => passthroughProxy('//localhost:4000/v1')).to.throw(
      TypeError,
      `got "//localhost:4000/v1"; did you mean 'http://localhost:4000/v1'?`,
    )
    expect(() => passthroughProxy(4000 as never)).to.throw(
      TypeError,
      "got 4000; did you mean 'http://127.0.0.1:4000'?",
    )
    for (const target of ['ftp://x', 'mailto:a', '/path', 'C:/x', 'a b.example', '.example', 'api']) {
      expect(() => passthroughProxy(target))
        .to.throw(TypeError)
        .with.property('message')
        .not.contains('did you mean')
    }
  })

  it('say what to do about an environment variable that is not set', () => {
    for (const target of [
      undefined,
      '',
      `${process.env['UNSET_UPSTREAM']}`,
      `${process.env['UNSET_UPSTREAM']}/v1`,
      `${process.env['UNSET_HOST']}:4000`,
      `http://${process.env['UNSET_HOST']}`,
      `http://${process.env['UNSET_HOST']}:4000/v1`,
      new URL(`https://${process.env['UNSET_HOST']}:4000`),
      `http://localhost:${process.env['UNSET_PORT']}`,
      `http://[::1]:${process.env['UNSET_PORT']}/v1`,
      `ws://${process.env['UNSET_HOST']}:4000`,
    ]) {
      expect(() => passthroughProxy(target as string)).to.throw(
        TypeError,
        "that variable is not set: set it, or give a default with ||, as in process.env['UPSTREAM'] || 'http://127.0.0.1:8080' (see docs/errors.md#a-wrong-option)",
      )
    }
    for (const target of [null, 'undefined.example', 'http://', 'undefinedly:80', 'ftp://x/undefined']) {
      expect(() => passthroughProxy(target as string))
        .to.throw(TypeError)
        .with.property('message')
        .not.contains('not set')
    }
  })

  it('say where a path or the path of a socket belongs', () => {
    expect(() => passthroughProxy('/api', { target: 'http://x' } as never)).to.throw(
      TypeError,
      `got "/api"; paths belong to the mount: app.use('/api', passthroughProxy(target)) (`,
    )
    expect(() => passthroughProxy('/run/app.sock')).to.throw(TypeError, 'connect: { socketPath:')
  })

  it('suggest the scheme of a WebSocket, and the option for a Unix socket', () => {
    expect(() => passthroughProxy('ws://127.0.0.1:4000/chat')).to.throw(
      TypeError,
      "; did you mean 'http://127.0.0.1:4000/chat'?",
    )
    for (const target of ['wss://chat.example', new URL('wss://chat.example')]) {
      expect(() => passthroughProxy(target)).to.throw(
        TypeError,
        /; did you mean 'https:\/\/chat\.example\/?'\?/,
      )
    }
    for (const target of ['unix:/run/app.sock', 'unix:///run/app.sock', new URL('unix:/run/app.sock')]) {
      expect(() => passthroughProxy(target)).to.throw(TypeError, 'connect: { socketPath:')
    }
  })

  it('say how to choose among several targets', () => {
    expect(() => passthroughProxy(['http://a', 'http://b'] as never)).to.throw(
      TypeError,
      'got an array; a function chooses among several: passthroughProxy((req, failed) => target)',
    )
  })

  it('name all unknown options at once', () => {
    const options = { path: undefined, changeOrigin: true, ws: true, pathRewrite: {} } as never
    expect(() => passthroughProxy(URL_, options)).to.throw(
      TypeError,
      /unknown option "changeOrigin"; by default .* of the client; also unknown: "ws", "pathRewrite" \(see /,
    )
  })

  for (const [target, got] of [
    ['http://u:p@x', 'with credentials; set the header in "onRequest": outgoing.headers.set('],
    ['http://u@x', 'with credentials; set'],
    ['http://x/?a', 'with a query ('],
    ['http://x/#a', 'with a fragment ('],
    ['http://u:p@x/?a#b', 'with a query and a fragment and credentials; set'],
  ] as const) {
    it(`refuse the target ${target}, without revealing its secrets`, () => {
      const message = `passthroughProxy: target must have no query, fragment or credentials, got "http://x/" ${got}`
      expect(() => passthroughProxy(target)).to.throw(TypeError, message)
      expect(() => passthroughProxy(target)).not.to.throw(/u:p/)
    })
  }

  it('explain a forgotten call', async () => {
    const app = express()
    app.use(passthroughProxy as never)
    const client = await RawClient.connect((await serve(app)).port)
    client.request('GET', '/')
    expect((await client.response()).body.toString()).to.contain('did you mean app.use(passthroughProxy(')
  })

  for (const [options, error, message] of [
    [{ dispatcher: {} }, TypeError, 'option "dispatcher" must be an undici Dispatcher'],
    [{ dispatcher: null }, TypeError, 'option "dispatcher" must be an undici Dispatcher'],
    [{ path: '/x' }, TypeError, 'option "path" must be a function'],
    [{ preserveHost: 1 }, TypeError, 'option "preserveHost" must be true or false'],
    [{ forwarded: true }, TypeError, 'option "forwarded" must be one of'],
    [{ onRequest: 'x' }, TypeError, 'option "onRequest" must be a function'],
    [{ onResponse: null }, TypeError, 'option "onResponse" must be a function'],
    [{ connectTimeoutMs: '10' }, TypeError, 'option "connectTimeoutMs" must be a whole number'],
    [{ headersTimeoutMs: -1 }, RangeError, 'option "headersTimeoutMs" must be a whole number'],
    [{ headersTimeoutMs: Infinity }, RangeError, 'of milliseconds from 0 up (0: no limit), got Infinity ('],
    [{ idleTimeoutMs: 1.5 }, RangeError, 'option "idleTimeoutMs" must be a whole number'],
    [{ maxConnections: 0 }, RangeError, 'option "maxConnections" must be a whole number from 1 up'],
    [{ maxQueue: 0 }, RangeError, 'option "maxQueue" must be a whole number from 1 up'],
    [{ maxQueue: Number.NaN }, RangeError, 'option "maxQueue"'],
    [{ maxResponseHeadBytes: 0 }, RangeError, 'option "maxResponseHeadBytes" must be at least 1 byte'],
    [{ maxResponseHeadBytes: 'big' }, TypeError, 'option "maxResponseHeadBytes" must be a whole number'],
    [{ connect: 'x' }, TypeError, 'option "connect" must be an object'],
    [{ connect: [] }, TypeError, 'option "connect" must be an object'],
    [{ connect: null }, TypeError, 'option "connect" must be an object'],
    [{ connect: { host: 'x' } }, TypeError, 'option "connect.host" cannot be set: the target names it'],
    [{ connect: { path: '/x' } }, TypeError, 'option "connect.path" cannot be set: use "socketPath"'],
    [{ connect: { ALPNProtocols: ['h2'] } }, TypeError, 'option "connect.ALPNProtocols"'],
    [{ upgrade: 'websocket' }, TypeError, 'option "upgrade" must be a list'],
    [{ upgrade: ['web socket'] }, TypeError, 'option "upgrade[0]" must be an upgrade token such as'],
    [{ upgrade: ['websocket', 1] }, TypeError, "such as 'websocket', got 1 ("],
    [{ upgrade: ['H2C'] }, TypeError, "without 'h2c'"],
    [{ zip: 1 }, TypeError, 'unknown option "zip"; the options are dispatcher, connect, '],
    [{ cache: 1 }, TypeError, 'unknown option "cache"; answers are not kept; a "dispatcher" with '],
    [{ connectTimeout: 1 }, TypeError, 'unknown option "connectTimeout"; did you mean "connectTimeoutMs"?'],
  ] as [PassthroughProxyOptions, typeof Error, string][]) {
    it(`refuse ${JSON.stringify(options)}`, () => {
      expect(() => passthroughProxy(URL_, options)).to.throw(error, message)
    })
  }

  for (const option of ['connect', 'connectTimeoutMs', 'maxConnections', 'maxResponseHeadBytes']) {
    it(`refuse ${option} beside a dispatcher, which would ignore it`, () => {
      const options = { dispatcher: new Agent(), [option]: option === 'connect' ? {} : 5 }
      const message = `option "${option}" belongs to the built-in client`
      expect(() => passthroughProxy(URL_, options)).to.throw(TypeError, message)
    })
  }

  it('may be changed afterwards without effect', async () => {
    const upstream = await serve((req, res) => res.end(req.headers.host))
    const options = { preserveHost: true }
    const app = express().use(passthroughProxy(upstream.url, options))
    options.preserveHost = false
    const client = await RawClient.connect((await serve(app)).port)
    client.request('GET', '/')
    expect((await client.response()).body.toString()).to.equal('test')
  })
})
