import { createServer, type Server } from 'node:http'
import { expect } from 'chai'
import { attach } from 'sluiceway'
import { upgradeTo } from '../support/clients/pipelined.js'
import { RawClient } from '../support/clients/raw-client.js'
import { listen } from '../support/servers/servers.js'
import { answered, apps, closeAll, others, own } from './neighbors.js'

describe('attach and the emit of its server', () => {
  afterEach(closeAll)

  const chain = apps['Express 5']!

  it('takes an upgrade that another server hands on by emit, and has emit say so', async () => {
    const app = chain(({ socket }) => void socket.pipe(socket))
    const server = createServer(app)
    attach(server, app)
    const front = createServer()
    front.on('upgrade', (...given) => {
      if (!server.emit('upgrade', ...given)) given[1].destroy()
    })
    const client = await RawClient.connect((await listen(front)).port)
    client.write(upgradeTo('echo'), 'echo')
    await client.untilText('echo')
    client.destroy()
  })

  it('leaves the server as it was once it is detached', async () => {
    const app = chain()
    const server = createServer(app)
    const before = Reflect.ownKeys(server)
    const detach = attach(server, app)
    detach()
    expect(Reflect.ownKeys(server)).to.deep.equal(before)
  })

  it('restores the server.emit that other code had set before', () => {
    const server = createServer()
    const layer = server.emit.bind(server)
    server.emit = layer
    attach(server, () => {})()
    expect(Reflect.get(server, 'emit')).to.equal(layer)
  })

  it('is out of the way once it is detached, also beneath layers that others have put around server.emit', async () => {
    const app = chain(own)
    const server = createServer(app)
    const detach = attach(server, app)
    const emit = server.emit.bind(server) as (...args: unknown[]) => boolean
    const layer = ((...args: unknown[]) => emit(...args)) as Server['emit']
    server.emit = layer
    detach()
    expect(Reflect.get(server, 'emit')).to.equal(layer)
    others['ws with { server }']!(server)
    const client = await RawClient.connect((await listen(server)).port)
    expect(await answered(client, '/app')).to.equal('ws')
    client.destroy()
  })
})
