import { expect } from 'chai'
import { message, upgradeTo } from '../support/clients/pipelined.js'
import { RawClient } from '../support/clients/raw-client.js'
import { attached } from '../support/servers/attached.js'
import { closeServers } from '../support/servers/servers.js'

/*
 * One packet ended the process of every server with `attach`: a request followed by an upgrade. Node hands an upgrade
 * over as soon as it is parsed, and assigning it a response while another one had the connection threw
 * ERR_HTTP_SOCKET_ASSIGNED in the 'upgrade' event. With h2c, the second request was never answered.
 */
describe('an upgrade behind a request that has not been answered yet', () => {
  afterEach(closeServers)

  for (const token of ['websocket', 'h2c']) {
    it(`is answered after that one (${token})`, async () => {
      const { port } = await attached((req, res) => {
        if (req.url === '/slow') setTimeout(() => res.end('slow'), 20)
        else res.end('second')
      })
      const client = await RawClient.connect(port)
      client.write(message('GET /slow HTTP/1.1', 'Host: test'), upgradeTo(token))
      for (const answer of ['slow', 'second']) expect(String((await client.response()).body)).to.equal(answer)
    })
  }
})
