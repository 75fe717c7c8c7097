import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { expect } from 'chai'
import { RawClient } from '../../support/clients/raw-client.js'
import { emptyDirectory, removeDirectories } from '../../support/process/temporary-files.js'
import { isThorough } from '../../support/thorough.js'

const MB = 1024 * 1024
const block = Buffer.alloc(MB, 'sluiceway')

describe('the memory of a server whose uploads bodyCache writes to files', () => {
  let server: ChildProcess
  let port: number

  beforeEach(async () => {
    server = fork(new URL('storing-server.js', import.meta.url), [emptyDirectory()], {
      execArgv: ['--expose-gc'],
    })
    ;[port] = (await once(server, 'message')) as [number]
    // What Node needs for its first uploads: compiled code, buffers of the thread pool.
    await upload(32)
  })
  afterEach(() => server.kill())
  afterEach(removeDirectories)

  const oneUpload = isThorough ? 1024 : 256
  it(`grows by less than 32 MB for an upload of ${oneUpload} MB that is read twice`, async () => {
    const before = await peak()
    await upload(oneUpload)
    const growth = ((await peak()) - before) / MB
    console.log(`        +${growth.toFixed(1)} MB`)
    expect(growth).to.be.below(32)
  }).timeout(60_000)

  const uploads = isThorough ? 200 : 60
  it(`stays bounded under ${uploads} concurrent uploads of 10 MB`, async () => {
    const before = await peak()
    await Promise.all(Array.from({ length: uploads }, () => upload(10)))
    const growth = ((await peak()) - before) / MB
    console.log(`        +${growth.toFixed(1)} MB for ${uploads * 10} MB of bodies`)
    // memoryBudget, and for each upload less than a tenth of it: buffers of socket, stream and file.
    expect(growth).to.be.below(16 + uploads)
  }).timeout(60_000)

  async function peak(): Promise<number> {
    const answered = once(server, 'message')
    server.send('peak')
    const [bytes] = (await answered) as [number]
    return bytes
  }

  async function upload(megabytes: number): Promise<void> {
    const client = await RawClient.connect(port)
    client.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${megabytes * MB}\r\n\r\n`)
    for (let sent = 0; sent < megabytes; sent++) {
      if (!client.socket.write(block)) await once(client.socket, 'drain')
    }
    expect((await client.response()).body.toString()).to.equal('same')
    client.destroy()
  }
})
