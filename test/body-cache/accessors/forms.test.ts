import type { IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import { closeServers } from '../../support/servers/servers.js'
import { exchange } from '../exchange.js'
import { codeOf, found } from '../reading.js'
import { readEntries } from './multipart-forms.js'
import { parameters, URLENCODED } from './urlencoded-forms.js'

const MULTIPART = { 'content-type': 'multipart/form-data; boundary=frontier' }

const parts = (count: number): string =>
  `${'--frontier\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'.repeat(count)}--frontier--\r\n`

describe('req.bodyCache.formData()', () => {
  afterEach(closeServers)

  it('parses fields and files: names, types and bytes', async () => {
    const form = new FormData()
    form.append('name', 'Ada Lövelace')
    form.append('tag', 'a')
    form.append('tag', 'b')
    form.append('file', new Blob([Buffer.from('00ff0d0a2d2d', 'hex')], { type: 'image/png' }), 'a.png')
    form.append('file', new Blob([]), 'empty.txt')
    form.append('file', new Blob(['x'], { type: 'text/plain' }), 'Grüße – 你好 "1".txt')
    expect(await found(readEntries, form)).to.deep.equal([
      ['name', 'Ada Lövelace'],
      ['tag', 'a'],
      ['tag', 'b'],
      ['file', 'a.png', 'image/png', '00ff0d0a2d2d'],
      ['file', 'empty.txt', 'application/octet-stream', ''],
      ['file', 'Grüße – 你好 "1".txt', 'text/plain', '78'],
    ])
  })

  it('returns a fresh form each time, and leaves the request readable', async () => {
    const read = async (req: IncomingMessage): Promise<unknown> => {
      ;(await req.bodyCache.formData()).set('a', 'changed')
      return [await readEntries(req), (await text(req)).length > 0]
    }
    const form = new FormData()
    form.set('a', '1')
    expect(await found(read, form)).to.deep.equal([[['a', '1']], true])
  })

  it('parses a urlencoded form', async () => {
    expect(await found(readEntries, 'a=1&b=%C3%BC', URLENCODED)).to.deep.equal([
      ['a', '1'],
      ['b', 'ü'],
    ])
  })

  it('parses 1000 parts and refuses the 1001st', async () => {
    const count = async (req: IncomingMessage): Promise<number> =>
      [...(await req.bodyCache.formData())].length
    expect(await found(count, parts(1000), MULTIPART)).to.equal(1000)
    expect(await found(count, parameters(1000), URLENCODED)).to.equal(1000)
    for (const [form, type, message] of [
      [parts(1001), MULTIPART, 'more than 1000 parts'],
      [parameters(1001), URLENCODED, 'more than 1000 parameters'],
    ] as const) {
      expect(await found(count, form, type)).to.include({ status: 400, message })
    }
  })

  it('refuses a body without Content-Type', async () => {
    const { client, req } = await exchange(['Content-Length: 3'])
    client.write('a=1')
    expect(await codeOf(req.bodyCache.formData())).to.equal('ERR_SLUICEWAY_BODY_MALFORMED')
    client.destroy()
  })

  for (const [title, form, type] of [
    ['whose Content-Type is not that of a form', '{}', { 'content-type': 'application/json' }],
    ['whose Content-Type is nonsense', 'a=1', { 'content-type': ';;' }],
    [
      'whose Content-Type only begins like one',
      'a=1',
      { 'content-type': 'multipart/form-data2; boundary=x' },
    ],
  ] as const) {
    it(`refuses a form ${title}`, async () => {
      expect(await found(readEntries, form, type)).to.include({
        status: 400,
        type: 'entity.parse.failed',
        code: 'ERR_SLUICEWAY_BODY_MALFORMED',
        message: 'request body is not a well-formed form: its Content-Type is not that of a form',
      })
    })
  }

  it('recognises a urlencoded form, whatever parameters its Content-Type has', async () => {
    const type = { 'content-type': 'application/x-www-form-urlencoded; boundary=frontier' }
    expect(await found(readEntries, '?a=1+2&b=%2B', type)).to.deep.equal([
      ['?a', '1 2'],
      ['b', '+'],
    ])
    expect(await found(readEntries, parameters(1001), type)).to.include({
      status: 400,
      message: 'more than 1000 parameters',
    })
  })
})
