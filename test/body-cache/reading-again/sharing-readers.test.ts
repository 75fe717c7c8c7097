import { expect } from 'chai'
import { asChunk, lastChunk } from '../../support/clients/raw-client.js'
import { closeServers } from '../../support/servers/servers.js'
import { until } from '../../support/time/until.js'
import { exchange } from '../exchange.js'
import { readWithData, readWithReadable } from './listening-readers.js'

describe("bodyCache, with a reader that starts while another reads from the request's own buffer", () => {
  afterEach(closeServers)

  it("gives the whole body to a reader that listens for 'readable'", async () => {
    const { client, req, res } = await exchange()
    const flowing = readWithData(req)
    client.write(asChunk('one '))
    await until(() => flowing.sofar() === 'one ')
    const first = readWithReadable(req)
    await until(() => first.sofar() === 'one ')
    req.on('data', () => {})
    client.write(asChunk('two '))
    await until(() => first.sofar() === 'one two ')
    req.on('data', () => {})
    client.write(asChunk('three'), lastChunk)
    expect([await first.whole, await flowing.whole]).to.deep.equal(['one two three', 'one two three'])
    res.end()
    client.destroy()
  })

  it('gives the whole body to a reader that has set an encoding', async () => {
    const { client, req, res } = await exchange()
    const first = readWithData(req.setEncoding('utf8'))
    const [begin, end] = [Buffer.from('ü').subarray(0, 1), Buffer.from('ü').subarray(1)]
    client.write(asChunk('one '), asChunk(begin))
    await until(() => first.sofar() === 'one ' && req.bodyCache.size === 5)
    req.on('data', () => {})
    client.write(asChunk(end), lastChunk)
    expect(await first.whole).to.equal('one ü')
    res.end()
    client.destroy()
  })

  it('gives the whole body to the first reader when the second sets an encoding for the buffered bytes', async () => {
    const { client, req, res } = await exchange()
    const first = readWithData(req)
    client.write(asChunk('one '))
    await until(() => first.sofar() === 'one ')
    req.pause()
    client.write(asChunk('ü'), asChunk('ü'))
    await until(() => req.readableLength === 4)
    req.setEncoding('utf8')
    req.on('data', () => {}).resume()
    client.write(asChunk('three'), lastChunk)
    expect(await first.whole).to.equal('one üüthree')
    res.end()
    client.destroy()
  })
})
