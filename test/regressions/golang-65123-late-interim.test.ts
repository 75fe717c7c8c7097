import { expect } from 'chai'
import { proxied, request } from '../support/servers/proxied.js'
import { answer } from '../support/servers/scripted-upstream.js'
import { closeServers } from '../support/servers/servers.js'

describe('golang/go#65123 (Go, net/http/httputil.ReverseProxy)', () => {
  afterEach(closeServers)

  it('an interim response that comes after the handler has answered is not written', async () => {
    const { client, upstream } = await proxied({
      prepare: (app) => {
        app.use((_req, res, next) => {
          next()
          res.status(503).send('too slow')
        })
      },
    })
    client.write(request('GET', '/'))
    const connection = await upstream.connection()
    expect((await client.response()).body.toString()).to.equal('too slow')
    connection.write(
      'HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n',
    )
    connection.write(answer())
    await connection.closed()
    expect(client.pending.length).to.equal(0)
  })
})
