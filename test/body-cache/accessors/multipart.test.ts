import { randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { expect } from 'chai'
import { closeServers } from '../../support/servers/servers.js'
import { found } from '../reading.js'
import { TYPE, part, END, posted } from './multipart-forms.js'

describe('req.bodyCache.formData() of a multipart form', () => {
  afterEach(closeServers)

  const a1 = [['a', '1']]
  const hex = '31'
  for (const [title, form, entries] of [
    ['an unquoted name, as .NET sends it', part('form-data; name=a') + END, a1],
    [
      'filename*, as .NET sends it',
      part(`form-data; name=f; filename="=?utf-8?B?w7w=?="; filename*=utf-8''%C3%BC.txt`, '1', 'text/plain') +
        END,
      [['f', 'ü.txt', 'text/plain', hex]],
    ],
    [
      'filename* before filename',
      part(`form-data; filename*=UTF-8'de'%e2%82%ac; filename=x; name="f"`, '1', 'text/plain') + END,
      [['f', '€', 'text/plain', hex]],
    ],
    [
      'filename* in another charset',
      part(`form-data; name="f"; filename*=iso-8859-1''%A3%u00e9`) + END,
      [['f', '£%u00e9', 'text/plain', hex]],
    ],
    [
      'filename* with apostrophes, which encodeURIComponent leaves as they are',
      part(`form-data; name="f"; filename*=UTF-8''it's%20Ada's.txt`) + END,
      [['f', "it's Ada's.txt", 'text/plain', hex]],
    ],
    ['a preamble', `This is a form.\r\nReally.\r\n${part('form-data; name="a"')}${END}`, a1],
    ['an empty line in front', `\r\n${part('form-data; name="a"')}${END}`, a1],
    ['an epilogue', `${part('form-data; name="a"')}${END}the end\r\n--xx\r\n`, a1],
    ['no line end after its last boundary', part('form-data; name="a"') + END.trimEnd(), a1],
    [
      'padding after its boundaries',
      `--xx \t\r\n${part('form-data; name="a"').slice(6, -2)}\r\n--xx-- \r\n`,
      a1,
    ],
    [
      'further parameters in any order',
      part(
        'form-data; size=1; filename="a.txt"; x="y;z=1"; NAME="a"; modification-date="…"',
        '1',
        'text/plain',
      ) + END,
      [['a', 'a.txt', 'text/plain', hex]],
    ],
    [
      'a semicolon after its parameters',
      part('form-data; name="a";') + part('form-data; name="b" ; ') + END,
      [...a1, ['b', '1']],
    ],
    [
      'spaces in an unquoted file name',
      part('form-data; name=a; filename=my file.txt') + END,
      [['a', 'my file.txt', 'text/plain', hex]],
    ],
    ['no space before its parameters', part('FORM-DATA;name="a"') + END, a1],
    [
      'names in UTF-8',
      part('form-data; name="ä€"; filename="你好.txt"') + END,
      [['ä€', '你好.txt', 'text/plain', hex]],
    ],
    ['names escaped as browsers do', part('form-data; name="a%22%0D%0A%41"') + END, [['a"\r\n%41', '1']]],
    [
      'a backslash, as browsers send it',
      part(String.raw`form-data; name="\"; filename="\\a\"`) + END,
      [['\\', String.raw`\\a` + '\\', 'text/plain', hex]],
    ],
    [
      'names escaped by a backslash',
      part(String.raw`form-data; name="a\"b"; filename="C:\dir\x.txt"`) + END,
      [['a"b', String.raw`C:\dir\x.txt`, 'text/plain', hex]],
    ],
    ['an empty name', part('form-data; name=""') + END, [['', '1']]],
    [
      'an empty file',
      part('form-data; name="a"; filename=""', '', 'application/octet-stream') + END,
      [['a', '', 'application/octet-stream', '']],
    ],
    [
      'a type with parameters',
      part('form-data; name="a"; filename="x"', '1', 'Text/Plain; charset=utf-8') + END,
      [['a', 'x', 'text/plain; charset=utf-8', hex]],
    ],
    [
      'a field in another charset',
      Buffer.from(part('form-data; name="a"', '\xa3', 'text/plain; charset="iso-8859-1"') + END, 'latin1'),
      [['a', '£']],
    ],
    [
      'a part in base64',
      part('form-data; name="a"\r\nContent-Transfer-Encoding: Base64', 'w7w=') + END,
      [['a', 'ü']],
    ],
    [
      'a folded header line',
      part('form-data;\r\n name="a";\r\n\tfilename="x"') + END,
      [['a', 'x', 'text/plain', hex]],
    ],
    ['other header lines', part('form-data; name="a"\r\nX-Other: name="b"\r\nContent-Length : 1') + END, a1],
    [
      'lines that look like boundaries',
      part('form-data; name="a"', '\r\n--x\r\n--\r\n-xx\r\n --xx\r\n') + END,
      [['a', '\r\n--x\r\n--\r\n-xx\r\n --xx\r\n']],
    ],
    ['an empty value', part('form-data; name="a"', '') + END, [['a', '']]],
    [
      'a part whose empty line is the one before the boundary',
      '--xx\r\nContent-Disposition: form-data; name="a"\r\n\r\n--xx--',
      [['a', '']],
    ],
    ['an LF alone behind its last boundary', `${part('form-data; name="a"')}--xx--\n`, a1],
    [
      'a folded line within a file name',
      part('form-data; name="a"; filename="x\r\n   y"', '1', 'text/plain') + END,
      [['a', 'x y', 'text/plain', hex]],
    ],
    [
      'a space before the colon of a head line',
      `--xx\r\nContent-Disposition : form-data; name="a"\r\n\r\n1\r\n${END}`,
      a1,
    ],
    ['no part', END, []],
  ] as const) {
    it(`reads ${title}`, async () => {
      expect(await posted(form)).to.deep.equal({ status: 200, entries })
    })
  }

  for (const [title, boundary, parameter] of [
    ['a slash, unquoted', '-XrQHxml_qhW/dc2hip09LUML', '-XrQHxml_qhW/dc2hip09LUML'],
    ['an equals sign, unquoted', '----=_Part_10_4245465.139', '----=_Part_10_4245465.139'],
    ['quotes around it', 'a b:c', '"a b:c"'],
    ['escapes within quotes', 'a"b', String.raw`"a\"b"`],
    ['a semicolon within quotes', 'a;b', '"a;b"'],
    ['a semicolon after it', 'xyz', 'xyz;'],
    ['a lone word after it', 'xyz', 'xyz; foo'],
    ['parameters around it', 'xyz', 'xyz ; charset=utf-8; a=b/c'],
    ['a second boundary after it', 'xyz', 'xyz; Boundary="xyz"'],
    ['70 characters', 'x'.repeat(70), 'x'.repeat(70)],
    ['one character', 'x', 'x'],
  ] as const) {
    it(`accepts a boundary with ${title}, and counts its parts`, async () => {
      const type = `Multipart/Form-Data;boundary=${parameter}`
      const forms = (count: number): string =>
        (part('form-data; name="a"').repeat(count) + END).replaceAll('--xx', () => `--${boundary}`)
      expect(await posted(forms(2), type)).to.deep.equal({ status: 200, entries: [...a1, ...a1] })
      expect(await posted(forms(1001), type)).to.deep.equal({ status: 400, entries: 'more than 1000 parts' })
      const file = Buffer.concat([
        Buffer.from(`--${boundary}\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\n`),
        randomBytes(600_000),
        Buffer.from(`\r\n--${boundary}--`),
      ])
      expect((await posted(file, type)).status).to.equal(200)
    })
  }

  it('counts the parts before it builds anything', async () => {
    const BuiltIn = globalThis.File
    let built = 0
    globalThis.File = class extends BuiltIn {
      constructor(...args: ConstructorParameters<typeof BuiltIn>) {
        super(...args)
        built += 1
      }
    }
    try {
      const file = part('form-data; name="a"; filename="x"')
      expect((await posted(file.repeat(1001) + END)).status).to.equal(400)
      expect(built).to.equal(0)
      expect((await posted(file.repeat(2) + END)).status).to.equal(200)
      expect(built).to.equal(2)
    } finally {
      globalThis.File = BuiltIn
    }
  })

  it('returns the FormData and File of the web platform', async () => {
    const read = async (req: IncomingMessage): Promise<unknown> => {
      const form = await req.bodyCache.formData()
      return [form instanceof FormData, form.get('a') instanceof File]
    }
    const type = { 'content-type': TYPE }
    expect(await found(read, part('form-data; name="a"; filename="x"') + END, type)).to.deep.equal([
      true,
      true,
    ])
  })
})
