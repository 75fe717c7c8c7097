import type { IncomingMessage } from 'node:http'
import { expect } from 'chai'
import { closeServers } from '../../support/servers/servers.js'
import { exchange } from '../exchange.js'
import { found } from '../reading.js'

const readText = (req: IncomingMessage): Promise<string> => req.bodyCache.text()

function inCharset(charset: string): Record<string, string> {
  return { 'content-type': `text/plain; charset=${charset}` }
}

function swapped(bytes: Buffer): Buffer {
  return Buffer.from(bytes).swap16()
}

describe('req.bodyCache.text()', () => {
  afterEach(closeServers)

  const mark = Buffer.from('\uFEFF', 'utf16le')
  const wide = Buffer.from('grüße €', 'utf16le')
  for (const [charset, bytes] of [
    ['utf-8', Buffer.from('grüße €')],
    ['UTF8', Buffer.from('\uFEFFgrüße €')],
    ['"utf-8"', Buffer.from('grüße €')],
    ['utf-16le', wide],
    ['utf-16le', Buffer.concat([mark, wide])],
    ['utf-16be', swapped(wide)],
    ['utf-16', wide],
    ['utf-16', Buffer.concat([mark, wide])],
    ['UTF-16', swapped(Buffer.concat([mark, wide]))],
    ['windows-1252', Buffer.from('6772fcdf652080', 'hex')],
    ['iso-8859-15', Buffer.from('6772fcdf6520a4', 'hex')],
  ] as const) {
    it(`decodes charset=${charset} from ${bytes.toString('hex', 0, 8)}…`, async () => {
      expect(await found(readText, bytes, inCharset(charset))).to.equal('grüße €')
    })
  }

  it('reads UTF-8 if Content-Type is malformed and names no charset', async () => {
    const headers = { 'content-type': 'text/plain; format="not closed' }
    expect(await found(readText, Buffer.from('grüße'), headers)).to.equal('grüße')
  })

  for (const [charset, hex, text] of [
    ['utf-16le', 'fe00', '\u00fe'],
    ['utf-16le', '00ff', '\uff00'],
    ['utf-8', 'feff41', '\ufffd\ufffdA'],
    ['iso-8859-15', 'feff', '\u00fe\u00ff'],
  ] as const) {
    it(`does not take ${hex} in charset=${charset} for the byte order mark of another charset`, async () => {
      expect(await found(readText, Buffer.from(hex, 'hex'), inCharset(charset))).to.equal(text)
    })
  }

  for (const charset of ['ISO-8859-1', 'latin1', 'windows-1252', 'us-ascii']) {
    it(`decodes every byte of charset=${charset} as windows-1252, like browsers`, async () => {
      const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
      const decoded = (await found(readText, bytes, inCharset(charset))) as string
      expect(decoded).to.have.length(256)
      expect(decoded.slice(0x80, 0xa0)).to.equal('€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ')
      expect(decoded.slice(0xa0)).to.equal(bytes.subarray(0xa0).toString('latin1'))
    })
  }

  it('reads UTF-8 if Content-Type names no charset, is missing or is nonsense', async () => {
    for (const type of ['text/plain', 'application/json', 'nonsense;;', '']) {
      expect(await found(readText, 'grüße', { 'content-type': type })).to.equal('grüße')
    }
  })

  for (const [title, type] of [
    ['a semicolon', 'text/plain; charset=iso-8859-1;'],
    ['a space and a semicolon', 'text/plain;charset=iso-8859-1 ;'],
    ['a lone word', 'text/plain; charset=iso-8859-1; format'],
    ['a slash in another parameter', 'text/plain; charset=iso-8859-1; x=a/b'],
    ['itself', 'text/plain; charset=iso-8859-1; charset=iso-8859-1'],
  ] as const) {
    it(`reads the charset in front of ${title}`, async () => {
      const read = async (req: IncomingMessage): Promise<unknown> => {
        // fetch would write it in another way.
        req.headers['content-type'] = type
        return readText(req)
      }
      expect(await found(read, Buffer.from('fc', 'hex'))).to.equal('ü')
    })
  }

  for (const type of ['text/plain; charset=utf-8; charset=iso-8859-1', 'text/plain; charset="utf-8']) {
    it(`refuses to guess the charset of ${type}`, async () => {
      const read = (req: IncomingMessage): Promise<unknown> => {
        req.headers['content-type'] = type
        return readText(req)
      }
      expect(await found(read, 'ü')).to.include({ status: 415, code: 'ERR_SLUICEWAY_CHARSET_UNSUPPORTED' })
    })
  }

  for (const charset of ['klingon', 'utf-7', 'replacement', '""']) {
    it(`refuses charset=${charset} without waiting for the body`, async () => {
      const { req, client } = await exchange([
        `Content-Type: text/plain; charset=${charset}`,
        'Content-Length: 9',
      ])
      const { bodyCache: body } = req
      for (const read of [() => body.text(), () => body.json(), () => body.urlencoded()]) {
        const error = await read().then(
          () => undefined,
          (failure: unknown) => failure,
        )
        expect(error).to.have.property('cause').that.is.an.instanceof(RangeError)
        expect(error).to.include({
          message: `unsupported charset "${charset.replaceAll('"', '')}"`,
          status: 415,
          type: 'charset.unsupported',
          code: 'ERR_SLUICEWAY_CHARSET_UNSUPPORTED',
        })
      }
      client.destroy()
    })
  }
})
