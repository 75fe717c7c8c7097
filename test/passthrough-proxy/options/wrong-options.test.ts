import http from 'node:http'
import net from 'node:net'
import { expect } from 'chai'
import { passthroughProxy, type ConnectOptions, type PassthroughProxyOptions } from 'sluiceway'

const target = 'http://127.0.0.1:8080'

const refused = (options: unknown): string => {
  try {
    passthroughProxy(target, options as PassthroughProxyOptions)
    return 'accepted'
  } catch (error) {
    return (error as Error).message
  }
}

describe('wrong options of passthroughProxy', () => {
  it('are named by their kind, without their contents', () => {
    const agent = Object.assign(new http.Agent(), { proxy: 'http://user:s3cret@corp:3128' })
    for (const [key, value] of [
      ['dispatcher', agent],
      ['path', { key: 's3cret' }],
      ['upgrade', [{ key: 's3cret' }]],
      ['maxQueue', { key: 's3cret' }],
      ['onRequest', ['s3cret']],
    ] as const) {
      expect(refused({ [key]: value }), key)
        .to.match(/got an? /)
        .and.not.contain('s3cret')
    }
  })

  it('are named by the nearest class that has a name', () => {
    class Tagged {
      readonly [Symbol.toStringTag] = 'Tag'
    }
    const nameless = class extends Tagged {}
    Object.defineProperty(nameless, 'name', { value: '' })
    const named: readonly (readonly [value: unknown, name: string])[] = [
      [null, 'null'],
      [[], 'an array'],
      [() => {}, 'a function'],
      [Symbol('s3cret'), 'a symbol'],
      [{}, 'an object'],
      [Object.create(null), 'an object'],
      [{ constructor: 's3cret' }, 'an object'],
      [
        new (class {
          readonly size = 1
        })(),
        'an object',
      ],
      [new Map(), 'a value of class Map'],
      [new Tagged(), 'a value of class Tagged'],
      [new nameless(), 'a value of class Tag'],
      [(function* () {})(), 'a value of class Generator'],
    ]
    for (const [value, name] of named) expect(refused({ maxQueue: value })).to.contain(`, got ${name} (`)
  })

  it('tell that an http.Agent is no dispatcher', () => {
    expect(refused({ dispatcher: new http.Agent() })).to.contain(
      'must be an undici Dispatcher, got a value of class Agent of node:http; undici has an Agent and a ProxyAgent of its own (',
    )
  })

  it('include an instance given as connect, and names of other packages in it', () => {
    expect(refused({ connect: new http.Agent() })).to.contain('got a value of class Agent')
    expect(refused({ connect: { secure: false } })).to.contain('use "rejectUnauthorized"')
    expect(refused({ connect: { hostname: 'x' } })).to.contain('the target names it')
    expect(refused({ connect: { agent: false } })).to.contain('without one')
  })

  it('include a name in connect that Node does not know', () => {
    expect(refused({ connect: { keepalive: true } })).to.contain(
      'unknown option "connect.keepalive"; did you mean "connect.keepAlive"?',
    )
    expect(refused({ connect: { allowH2: true } })).to.contain(
      'unknown option "connect.allowH2"; the options are those of net.connect and tls.connect',
    )
    expect(refused({ connect: { requestCert: true } })).to.contain('an option of servers')
    expect(refused({ connect: { ca: [], socketPath: '/x', lookup: undefined } })).to.equal('accepted')
  })

  it('name the replacements of options of other packages', () => {
    expect(refused({ responseInterceptor: () => {} })).to.contain('incoming.buffer()')
    expect(refused({ bodyTimeout: 1 })).to.contain('"idleTimeoutMs"')
  })

  it('include the URL of a Unix socket as the target', () => {
    expect(() => passthroughProxy('http://unix:/var/run/x.sock:/')).to.throw(
      TypeError,
      'connect: { socketPath:',
    )
    expect(() => passthroughProxy('http://unix/x')).to.not.throw()
  })

  it('are seen by the types of connect, too', () => {
    const right: ConnectOptions = {
      keepAlive: true,
      noDelay: true,
      keepAliveInitialDelay: 1,
      hints: 0,
      highWaterMark: 1,
    }
    expect(refused({ connect: right })).to.equal('accepted')
    // @ts-expect-error -- the target names it
    const wrong: ConnectOptions = { host: net.isIP('x') }
    expect(refused({ connect: wrong })).to.contain('the target names it')
  })
})
