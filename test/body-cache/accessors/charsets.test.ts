import type { IncomingMessage } from 'node:http'
import { expect } from 'chai'
import express from 'express'
import iconv from 'iconv-lite'
import { closeServers } from '../../support/servers/servers.js'
import { found } from '../reading.js'

const readText = (req: IncomingMessage): Promise<string> => req.bodyCache.text()
const readForm = (req: IncomingMessage): Promise<unknown> => req.bodyCache.urlencoded()

const parse = express.text({ type: () => true })

/** Reads it with body-parser. */
function parseText(req: IncomingMessage): Promise<unknown> {
  return new Promise((resolve, reject) => {
    parse(req, {} as never, (error?: Error) => {
      if (error === undefined) resolve((req as { body?: unknown }).body)
      else reject(error)
    })
  })
}

function typed(type: string, charset: string): Record<string, string> {
  return { 'content-type': `${type}; charset=${charset}` }
}

/** Text, its bytes, and the charset that names them. */
const samples = [
  ['euc-kr', '8c63b9e6b0a2c7cf', '똠방각하'],
  ['ks_c_5601-1987', '8c63', '똠'],
  ['cp949', '8c63', '똠'],
  ['big5', '8862', '\u00ca\u0304'],
  ['shift_jis', '1a8abf', '\u001a漢'],
  ['cp932', '8740', '①'],
  ['cp936', 'd6d0', '中'],
  ['gbk', 'a2e3', '€'],
  ['ibm866', '1ac6', '\u001a╞'],
  ['cp437', '81e1', 'üß'],
  ['IBM850', '81e1', 'üß'],
  ['iso-8859-16', 'a4', '€'],
  ['koi8-r', 'd0d2', 'пр'],
] as const

/** The same, for charsets that iconv-lite misses. */
const missed = [
  ['iso-2022-jp', '1b2442243a1b2842', 'ず'],
  ['x-mac-cyrillic', 'ff', '€'],
  ['macintosh', 'db', '€'],
  ['windows-1251', '98', '\u0098'],
  ['windows-1252', '81', '\u0081'],
  ['windows-874', '99', '\u0099'],
] as const

describe('a charset', () => {
  afterEach(closeServers)

  for (const [charset, hex, text] of [...samples, ...missed]) {
    it(`is read right by text() and by urlencoded(): ${text} in ${charset}`, async () => {
      const bytes = Buffer.from(hex, 'hex')
      const escaped = hex.replaceAll(/../g, '%$&')
      expect(await found(readText, bytes, typed('text/plain', charset))).to.equal(text)
      const form = typed('application/x-www-form-urlencoded', charset)
      expect(await found(readForm, `a=${escaped}`, form)).to.deep.equal({ a: text })
    })
  }

  // What leads to another reading of a body than that of a firewall in front is refused, though iconv-lite knows it.
  for (const charset of ['utf-7', 'utf-7-imap', 'base64', 'hex', 'utf-32', 'cesu-8']) {
    it(`is refused if the web does not know it: ${charset}`, async () => {
      const error = await found(readText, 'x', typed('text/plain', charset))
      expect(error).to.include({ status: 415, code: 'ERR_SLUICEWAY_CHARSET_UNSUPPORTED' })
      expect(iconv.encodingExists(charset)).to.equal(true)
    })
  }

  // [charset, bytes, text]
  for (const [charset, hex, text] of [
    ['utf-16', 'feff0041', 'A'],
    ['UTF-16', 'fffe4100', 'A'],
    ['utf-16', '4100', 'A'],
    ['utf-16le', 'fffe4100', 'A'],
    ['utf-16be', 'feff0041', 'A'],
    ['utf-16le', 'feff0041', '\uFFFE\u4100'],
    ['utf-16be', 'fffe4100', '\uFFFE\u4100'],
    ['utf-8', 'efbbbf41', 'A'],
    ['utf-8', 'feff41', '\uFFFD\uFFFDA'],
    ['windows-1252', 'efbbbf41', 'ï»¿A'],
    // Halves of a byte order mark are none.
    ['utf-16', 'fe004100', '\u00feA'],
    ['utf-16', '00ff4100', '\uff00A'],
  ] as const) {
    it(`has its own byte order mark removed, and is not overridden by another: ${hex} in ${charset}`, async () => {
      expect(await found(readText, Buffer.from(hex, 'hex'), typed('text/plain', charset))).to.equal(text)
      expect(await found(parseText, Buffer.from(hex, 'hex'), typed('text/plain', charset))).to.equal(text)
    })
  }

  // The Encoding standard gives one U+FFFD for the first, and drops the second byte of the others.
  for (const [charset, hex, text] of [
    ['gb18030', '8130', '\uFFFD0'],
    ['shift_jis', 'efbbbf41', '\uFFFD\uFF7B\uFF7FA'],
    ['euc-jp', '8fa1', '\uFFFD\uFFFD'],
  ] as const) {
    it(`loses only the first byte of a malformed character, as in body-parser: ${hex} in ${charset}`, async () => {
      const bytes = Buffer.from(hex, 'hex')
      expect(await found(readText, bytes, typed('text/plain', charset))).to.equal(text)
      expect(await found(parseText, bytes, typed('text/plain', charset))).to.equal(text)
    })
  }

  it('leaves a byte that stands for nothing to U+FFFD, in a code page of Windows too', async () => {
    const bytes = Buffer.from('81d2', 'hex')
    expect(await found(readText, bytes, typed('text/plain', 'windows-1253'))).to.equal('\u0081\uFFFD')
  })
})

describe('iconv-lite alone', () => {
  for (const [charset, hex, text] of missed) {
    it(`misreads ${text} in ${charset}, or does not know it`, () => {
      const decoded = iconv.encodingExists(charset) && iconv.decode(Buffer.from(hex, 'hex'), charset)
      expect(decoded).not.to.equal(text)
    })
  }
})

describe('TextDecoder alone', () => {
  for (const [charset, hex, text] of samples.slice(0, 1)) {
    it(`misreads ${text} in ${charset}`, () => {
      expect(new TextDecoder(charset).decode(Buffer.from(hex, 'hex'))).not.to.equal(text)
    })
  }
})
