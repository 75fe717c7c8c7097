import { expect } from 'chai'
import express from 'express'
import { bodyCache } from 'sluiceway'
import { proxied } from '../support/servers/proxied.js'
import { answer } from '../support/servers/scripted-upstream.js'
import { closeServers } from '../support/servers/servers.js'

describe('http-proxy-middleware 4.1.1', () => {
  afterEach(closeServers)

  it('a multipart body arrives byte for byte, even if its content looks like a boundary', async () => {
    const { client, upstream } = await proxied({
      prepare: (app) => {
        app.use(bodyCache(), express.urlencoded({ extended: true }))
      },
    })
    const body = '--b\r\nContent-Disposition: form-data; name="a\r\n--b\r\n"\r\n\r\n1\r\n--b--\r\n'
    client.request('POST', '/', { 'Content-Type': 'multipart/form-data; boundary=b' }, body)
    const connection = await upstream.connection()
    await connection.until((bytes) => (bytes.includes('--b--\r\n') ? true : undefined))
    expect(connection.pending.toString().split('\r\n\r\n').slice(1).join('\r\n\r\n')).to.equal(body)
    connection.write(answer())
    expect((await client.response()).status).to.equal(200)
  })
})
