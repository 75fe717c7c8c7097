import { expect } from 'chai'
import express from 'express'
import { bodyCache } from 'sluiceway'
import { proxied } from '../support/servers/proxied.js'
import { answer } from '../support/servers/scripted-upstream.js'
import { closeServers } from '../support/servers/servers.js'

describe('GHSA-v2v2-hph8-q5xp (@fastify/reply-from and @fastify/http-proxy)', () => {
  afterEach(closeServers)

  for (const type of [
    'application/json\t; charset=utf-8',
    'APPLICATION/JSON;',
    'application/json, text/plain',
    '',
  ]) {
    it(`the upstream parses the bytes and the Content-Type that the gate saw (${type})`, async () => {
      const { client, upstream } = await proxied({
        prepare: (app) => {
          app.use(bodyCache(), express.json())
        },
      })
      client.request('POST', '/', { 'Content-Type': type }, '{ "a" : 1, "a" : 2 }')
      const connection = await upstream.connection()
      const seen = await connection.untilText('{ "a" : 1, "a" : 2 }')
      expect(seen).to.contain(`\r\nContent-Type: ${type}\r\n`)
      connection.write(answer())
      expect((await client.response()).status).to.equal(200)
    })
  }
})
