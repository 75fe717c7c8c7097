import type { IncomingMessage } from 'node:http'
import { expect } from 'chai'
import type { PrototypePoisoning } from 'sluiceway/body-cache'
import { closeServers } from '../../support/servers/servers.js'
import { found } from '../reading.js'

const readJson = (req: IncomingMessage): Promise<unknown> => req.bodyCache.json()

describe('req.bodyCache.json()', () => {
  afterEach(closeServers)

  it('parses JSON into a fresh object each time', async () => {
    const read = async (req: IncomingMessage): Promise<unknown> => {
      const first = (await req.bodyCache.json()) as { list: number[] }
      first.list.push(4)
      return req.bodyCache.json()
    }
    expect(await found(read, '{"list":[1,2,3]}')).to.deep.equal({ list: [1, 2, 3] })
  })

  it('parses JSON after a byte order mark, and values that are not objects', async () => {
    expect(await found(readJson, '\uFEFF{"a":1}')).to.deep.equal({ a: 1 })
    expect(await found(readJson, ' "a" ')).to.equal('a')
    const wide = { 'content-type': 'application/json; charset=utf-16le' }
    expect(await found(readJson, Buffer.from('{"ü":1}', 'utf16le'), wide)).to.deep.equal({ ü: 1 })
  })

  it('returns undefined for an empty body', async () => {
    const isUndefined = async (req: IncomingMessage): Promise<boolean> => (await readJson(req)) === undefined
    expect(await found(isUndefined, '')).to.equal(true)
  })

  for (const broken of ['{"a":', 'nonsense', '{"a":1}}', '[1,]', '   ']) {
    it(`reports ${JSON.stringify(broken)} as body-parser does`, async () => {
      const { message, ...error } = (await found(readJson, broken)) as { message: string }
      expect(error).to.deep.equal({
        status: 400,
        type: 'entity.parse.failed',
        code: 'ERR_SLUICEWAY_BODY_MALFORMED',
        body: broken,
      })
      expect(() => void JSON.parse(broken)).to.throw(SyntaxError, message)
    })
  }

  it('parses 1000 levels, and refuses the 1001st', async () => {
    const lists = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels)
    const objects = (levels: number): string => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`
    for (const nested of [lists, objects]) {
      expect(await found(readJson, nested(1000))).to.deep.equal(JSON.parse(nested(1000)))
      for (const levels of [1001, 150_000]) {
        const tooDeep = { status: 400, type: 'entity.parse.failed', message: 'more than 1000 levels' }
        expect(await found(readJson, nested(levels))).to.include(tooDeep)
      }
    }
  })

  for (const [title, json] of [
    ['brackets in text', JSON.stringify('[{'.repeat(2000))],
    ['quotes in text', JSON.stringify('"['.repeat(5000))],
    ['backslashes before the end of a text', `[${String.raw`"\\",`.repeat(1000)}"${'['.repeat(1001)}"]`],
    ['escaped quotes after backslashes', JSON.stringify(String.raw`\"[`.repeat(5000))],
    ['many lists, one after the other', `[${'[[]],{"a":{}},'.repeat(2000)}1]`],
  ] as const) {
    it(`does not count ${title} as levels`, async () => {
      expect(await found(readJson, json)).to.deep.equal(JSON.parse(json))
    })
  }

  for (const [title, json] of [
    ['a text that ends in a backslash', `["\\\\",${'['.repeat(1001)}`],
    ['a text', `["a",${'['.repeat(1001)}`],
  ] as const) {
    it(`counts levels behind ${title}`, async () => {
      expect(await found(readJson, json)).to.include({ status: 400, message: 'more than 1000 levels' })
    })
  }

  it('refuses a long text without an end', async () => {
    expect(await found(readJson, `"${'x'.repeat(2000)}`)).to.include({
      status: 400,
      type: 'entity.parse.failed',
    })
  })

  describe('with keys that would poison a prototype', () => {
    const poisons = [
      ['{"a":1,"__proto__":{"x":1}}', { a: 1 }],
      ['{"a":1,"\\u005f_proto__":{"x":1}}', { a: 1 }],
      ['{"a":[{"b":{"_\\u005Fp\\u0072oto__" : null}}]}', { a: [{ b: {} }] }],
      ['{"a":1,"constructor":{"prototype":{"x":1}}}', { a: 1 }],
      ['{"a":1,"\\u0063onstructor":{"prototyp\\u0065":{"x":1}}}', { a: 1 }],
      ['{"a":[{"constructor":{"prototype":{}}}]}', { a: [{}] }],
    ] as const

    for (const [poison, removed] of poisons) {
      it(`refuses ${poison}, or drops or keeps the key, according to prototypePoisoning`, async () => {
        expect(await found(readJson, poison)).to.include({
          status: 400,
          type: 'entity.parse.failed',
          code: 'ERR_SLUICEWAY_BODY_MALFORMED',
          body: poison,
        })
        const told = async (prototypePoisoning: PrototypePoisoning): Promise<string> =>
          JSON.stringify(await found(readJson, poison, {}, { prototypePoisoning }))
        expect(await told('error')).to.include('"status":400')
        expect(await told('remove')).to.equal(JSON.stringify(removed))
        expect(await told('ignore')).to.equal(JSON.stringify(JSON.parse(poison)))
      })
    }

    it('accepts such names if they poison nothing', async () => {
      for (const harmless of [
        '{"a":"__proto__"}',
        '["__proto__"]',
        '{"constructor":{"name":"x"}}',
        '{"constructor":1}',
      ]) {
        expect(JSON.stringify(await found(readJson, harmless))).to.equal(harmless)
      }
    })

    it('gives a schema the value without the dropped keys', async () => {
      const schema = {
        '~standard': { validate: (value: unknown) => ({ value: Object.keys(value as object) }) },
      }
      const read = (req: IncomingMessage): Promise<unknown> => req.bodyCache.json(schema)
      const keys = await found(read, '{"a":1,"__proto__":{}}', {}, { prototypePoisoning: 'remove' })
      expect(keys).to.deep.equal(['a'])
    })
  })
})
