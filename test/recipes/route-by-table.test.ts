import { once } from 'node:events'
import http from 'node:http'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import { namedUpstream, recipeApp } from '../support/recipes/recipe-app.js'
import { closeServers, serve } from '../support/servers/servers.js'

describe('recipe: a router by host, path and header', () => {
  let port: number

  before(async () => {
    const [api, next, reports, blue] = await Promise.all(
      ['api', 'next', 'reports', 'blue'].map(namedUpstream),
    )
    const ROUTES = JSON.stringify([
      { host: 'api.example.com', path: '/v2', to: next?.url },
      { host: 'api.example.com', to: api?.url },
      { path: '/reports', headers: { 'x-tenant': 'blue' }, to: blue?.url },
      { path: '/reports', to: reports?.url },
    ])
    const { app } = await recipeApp('route-by-table', { ROUTES })
    ;({ port } = await serve(app))
  })
  after(closeServers)

  for (const [host, path, headers, expected] of [
    ['api.example.com', '/v2', {}, 'next'],
    ['api.example.com', '/v2/users?x', {}, 'next'],
    ['api.example.com', '/v20', {}, 'api'],
    ['api.example.com', '/', {}, 'api'],
    ['www.example.com', '/reports', {}, 'reports'],
    ['www.example.com', '/reports/7', { 'X-Tenant': 'blue' }, 'blue'],
    ['www.example.com', '/reports-old', {}, 'no such service'],
    ['www.example.com', '/', {}, 'no such service'],
  ] as const) {
    it(`sends ${host}${path} of ${Object.values(headers)[0] ?? 'anybody'} to ${expected}`, async () => {
      const asking = http.get({ port, host: '127.0.0.1', path, headers: { ...headers, host }, agent: false })
      const [response] = (await once(asking, 'response')) as [http.IncomingMessage]
      expect(await text(response)).to.equal(expected)
    })
  }
})
