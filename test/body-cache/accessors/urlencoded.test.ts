import type { IncomingMessage } from 'node:http'
import { expect } from 'chai'
import express from 'express'
import { closeServers } from '../../support/servers/servers.js'
import { found } from '../reading.js'
import { parameters, URLENCODED } from './urlencoded-forms.js'

const readForm = (req: IncomingMessage): Promise<unknown> => req.bodyCache.urlencoded()

describe('req.bodyCache.urlencoded()', () => {
  afterEach(closeServers)

  it('parses nested keys and escapes into a fresh object each time', async () => {
    const read = async (req: IncomingMessage): Promise<unknown> => {
      const first = await req.bodyCache.urlencoded()
      first['d'] = 'changed'
      return req.bodyCache.urlencoded()
    }
    expect(await found(read, 'a[b]=1&a[c]=2&d=%C3%BC+%26')).to.deep.equal({ a: { b: '1', c: '2' }, d: 'ü &' })
  })

  for (const [charset, escaped, value] of [
    ['GBK', 'a=%D6%D0%CE%C4', '\u4e2d\u6587'],
    ['gb18030', 'a=%D6%D0%CE%C4', '\u4e2d\u6587'],
    ['windows-1251', 'a=%CF%F0%E8', '\u041f\u0440\u0438'],
    // The second byte of the first character is a letter, which clients leave as it is.
    ['Shift_JIS', 'a=%83A%93%FA', '\u30a2\u65e5'],
    ['EUC-KR', 'a=%C7%D1', '\ud55c'],
    ['ISO-8859-15', 'a=%A4%20+', '\u20ac  '],
    ['ISO-8859-1', 'a=%80%FC', '\u20ac\u00fc'],
  ] as const) {
    for (const [how, body] of [
      ['escaped', escaped],
      ['as they are', Buffer.from(unescape(escaped), 'latin1')],
    ] as const) {
      it(`reads the bytes of charset=${charset}, ${how}, by urlencoded() and formData()`, async () => {
        const type = { 'content-type': `application/x-www-form-urlencoded; charset=${charset}` }
        const form = await found((req) => req.bodyCache.urlencoded(), body, type)
        const data = await found(async (req) => [...(await req.bodyCache.formData())], body, type)
        expect([form, data]).to.deep.equal([{ a: value }, [['a', value]]])
      })
    }
  }

  for (const [title, charset, body, entries] of [
    [
      'empty pairs',
      'windows-1252',
      'a=1&&b=2&',
      [
        ['a', '1'],
        ['b', '2'],
      ],
    ],
    ['a value with equals signs', 'windows-1252', 'a=1=2=', [['a', '1=2=']]],
    ['an escape that is none of bytes', 'windows-1252', 'a=%u20ac', [['a', '%u20ac']]],
    ['bytes that are no UTF-8', 'utf-8', 'a=%ff', [['a', '\uFFFD']]],
    // U+012B has the byte of a plus sign.
    [
      'a plus sign beside a character that has its byte',
      'utf-8',
      'a=\u012b+\u2b00',
      [['a', '\u012b \u2b00']],
    ],
  ] as const) {
    it(`reads ${title} in charset=${charset} by formData()`, async () => {
      const type = { 'content-type': `application/x-www-form-urlencoded; charset=${charset}` }
      const data = await found(async (req) => [...(await req.bodyCache.formData())], body, type)
      expect(data).to.deep.equal(entries)
    })
  }

  it('refuses a form in an unknown charset, with each accessor', async () => {
    const type = { 'content-type': 'application/x-www-form-urlencoded; charset=utf-7' }
    for (const read of [(req) => req.bodyCache.urlencoded(), (req) => req.bodyCache.formData()] as Parameters<
      typeof found
    >[0][]) {
      expect(await found(read, 'a=b', type)).to.include({
        status: 415,
        code: 'ERR_SLUICEWAY_CHARSET_UNSUPPORTED',
      })
    }
  })

  it('reads escapes in the charset of Content-Type', async () => {
    const type = { 'content-type': 'application/x-www-form-urlencoded; charset=ISO-8859-1' }
    expect(await found(readForm, Buffer.from('a=%FC&b=ü', 'latin1'), type)).to.deep.equal({ a: 'ü', b: 'ü' })
  })

  for (const [title, form] of [
    ['500 values of one key', 'a=1&'.repeat(499) + 'a=1'],
    ['500 values of a list', 'a[]=1&'.repeat(499) + 'a[]=1'],
    ['ids for keys', 'quantity[18234]=2&quantity[3]=1'],
    ['1000 parameters', parameters(1000)],
    ['odd pieces', '&&a&=b&c==d&e=%zz&f=%'],
  ] as const) {
    it(`parses ${title} as express.urlencoded() does`, async () => {
      const read = (req: IncomingMessage): Promise<unknown> =>
        new Promise((resolve, reject) => {
          const parser = express.urlencoded({ extended: true })
          parser(req, {} as never, (error) =>
            error === undefined ? resolve((req as { body?: unknown }).body) : reject(error),
          )
        })
      const expected = await found(read, form, URLENCODED)
      expect(await found(readForm, form, URLENCODED)).to.deep.equal(expected)
    })
  }

  it('refuses the 1001st parameter before it decodes any parameter', async () => {
    const decode = globalThis.decodeURIComponent
    let decoded = 0
    globalThis.decodeURIComponent = (escaped) => {
      decoded += 1
      return decode(escaped)
    }
    try {
      for (const form of [parameters(1001), '%41&'.repeat(250_000)]) {
        expect(await found(readForm, form)).to.include({
          status: 400,
          type: 'entity.parse.failed',
          code: 'ERR_SLUICEWAY_BODY_MALFORMED',
          message: 'more than 1000 parameters',
        })
      }
      expect(decoded).to.equal(0)
      await found(readForm, '%41=%31')
      expect(decoded).to.equal(2)
    } finally {
      globalThis.decodeURIComponent = decode
    }
  })

  it('refuses keys of more than 32 levels by counting the levels, however many keys there are', async () => {
    const nested = (levels: number): string => `a${'[b]'.repeat(levels)}=1`
    expect(await found(readForm, nested(32))).to.have.property('a')
    // Built first, 100 000 levels would be another error: no more stack.
    for (const form of [
      nested(33),
      nested(100_000),
      nested(33).replaceAll('[', '%5B').replaceAll(']', '%5D'),
    ]) {
      expect(await found(readForm, form)).to.include({
        status: 400,
        message: 'Input depth exceeded depth option of 32 and strictDepth is true',
      })
    }
  })

  it("returns objects without a prototype, and drops __proto__ with 'remove'", async () => {
    const read = async (req: IncomingMessage): Promise<unknown> => {
      const form = await req.bodyCache.urlencoded()
      const prototypes = [form, form['a']].map((value) => Object.getPrototypeOf(value) as unknown)
      return [form, prototypes, ({} as { polluted?: unknown }).polluted ?? 'clean']
    }
    const form = '__proto__[polluted]=1&a[__proto__][polluted]=1&a[b]=2'
    for (const prototypePoisoning of ['remove', 'ignore'] as const) {
      const expected = [{ a: { b: '2' } }, [null, null], 'clean']
      expect(await found(read, form, {}, { prototypePoisoning })).to.deep.equal(expected)
    }
  })

  for (const form of [
    '__proto__[x]=1',
    '__proto__=1',
    'b=1&a[__proto__][x]=1',
    '[__proto__]=1',
    '%5F_proto__%5Bx%5D=1',
    'a%5b__proto__%5d=1',
    'a[constructor][prototype]=1',
    'constructor[prototype][x]=1',
  ]) {
    it(`refuses ${form}`, async () => {
      expect(await found(readForm, form)).to.include({
        status: 400,
        code: 'ERR_SLUICEWAY_BODY_MALFORMED',
        message: 'Object contains forbidden prototype property',
      })
    })
  }

  it('accepts __proto__ as a value, and as part of a longer key', async () => {
    expect(await found(readForm, 'a=__proto__&my__proto__=1&b[__proto__s]=2')).to.deep.equal({
      a: '__proto__',
      my__proto__: '1',
      b: { __proto__s: '2' },
    })
  })

  it('refuses list indexes that would turn few values into long lists', async () => {
    const list = Array.from({ length: 1000 }, (_, n) => `a[${n}][b]=${n}`).join('&')
    expect(await found(readForm, list))
      .to.have.property('a')
      .that.has.length(1000)
    const lists = Array.from({ length: 1000 }, (_, n) => `a${n}${'[999]'.repeat(31)}=1`).join('&')
    expect(await found(readForm, lists)).to.include({
      status: 400,
      message: 'list indexes add up to too much',
    })
  })

  it('refuses constructor[prototype], or drops or keeps it, according to prototypePoisoning', async () => {
    const poison = 'a[constructor][prototype][x]=1'
    expect(await found(readForm, poison)).to.include({ status: 400, code: 'ERR_SLUICEWAY_BODY_MALFORMED' })
    expect(await found(readForm, poison, {}, { prototypePoisoning: 'remove' })).to.deep.equal({ a: {} })
    expect(await found(readForm, poison, {}, { prototypePoisoning: 'ignore' })).to.deep.equal({
      a: { constructor: { prototype: { x: '1' } } },
    })
  })
})
