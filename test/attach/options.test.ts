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
    expect(() => attach(server, app, { upgrade: () => true })).to.throw(Error, /another option "upgrade"/)
    detach()
  })

  for (const [what, server] of [
    ['an application', app],
    ['an emitter', new EventEmitter()],
    ['nothing', null],
  ] as const) {
    it(`says what is missing where the server is ${what}`, () => {
      expect(() => attach(server as never, app)).to.throw(
        TypeError,
        /^attach: server must be an http\.Server or https\.Server/,
      )
    })
  }
})
