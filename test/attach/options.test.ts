import { EventEmitter } from 'node:events'
import { createServer } from 'node:http'
import { expect } from 'chai'
import express from 'express'
import { attach } from 'sluiceway'

describe('attach', () => {
  const app = express()

  for (const [what, options, message] of [
    ['null', null, /^attach: options must be an object, got null/],
    ['a function', () => true, /^attach: options must be an object/],
    [
      'an unknown option',
      { upgrades: () => true },
      /^attach: unknown option "upgrades"; did you mean "upgrade"\?/,
    ],
    ['a path for "upgrade"', { upgrade: '/chat' }, /^attach: option "upgrade" must be a function/],
    ['null for "upgrade"', { upgrade: null }, /^attach: option "upgrade" must be a function/],
  ] as const) {
    it(`refuses ${what}`, () => {
      const server = createServer()
      expect(() => attach(server, app, options as never)).to.throw(TypeError, message)
      expect(server.listenerCount('upgrade')).to.equal(0)
    })
  }

  it('takes undefined for no option', () => {
    attach(createServer(), app, undefined)()
    attach(createServer(), app, { upgrade: undefined })()
  })

  it('takes the same option twice, and refuses another', () => {
    const server = createServer()
    const upgrade = (): boolean => true
    const detach = attach(server, app, { upgrade })
    expect(attach(server, app, { upgrade })).to.equal(detach)
    expect(attach(server, app)).to.equal(detach)
    expect(() => attach(server, app, { upgrade: () => true })).to.throw(
      Error,
      /another option "upgrade"; .* \(see docs\/errors\.md#a-wrong-option\)$/,
    )
    detach()
  })

  for (const [what, given, message] of [
    [
      'a request, as of app.use(attach)',
      [{ socket: {}, headers: {} }, {}],
      /^attach: got a request instead of a server; attach is not a middleware: call attach\(server, app\) once/,
    ],
    [
      'an application alone',
      [app],
      /^attach: server must be .*, got a function; the application comes second: attach\(server, app\)/,
    ],
    [
      'both in the wrong order',
      [app, createServer()],
      /^attach: server must be .*, got a function; the application comes second/,
    ],
    [
      'an emitter',
      [new EventEmitter(), app],
      /^attach: server must be an http\.Server or https\.Server.*, got a value of class EventEmitter/,
    ],
    ['nothing', [null, app], /^attach: server must be an http\.Server or https\.Server.*, got null/],
    [
      'a server alone',
      [createServer()],
      /^attach: app must be .*, got undefined: write attach\(server, app\)/,
    ],
    ['a server and no app', [createServer(), 'app'], /^attach: app must be .*, got "app"/],
  ] as const) {
    it(`says what is missing where it is given ${what}`, () => {
      expect(() => Reflect.apply(attach, undefined, given as never)).to.throw(TypeError, message)
    })
  }
})
