import { PassThrough } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import fastifyBusboy from '@fastify/busboy'
import busboy from 'busboy'
import { expect } from 'chai'
import { Response as UndiciResponse } from 'undici'
import { closeServers } from '../../support/servers/servers.js'
import { TYPE, part, END, describeEntries, posted } from './multipart-forms.js'

/** How other parsers read a form: the entries, or undefined if they refuse it. */
const others: Record<string, (form: Buffer) => Promise<unknown>> = {
  busboy: (form) =>
    collect(busboy({ headers: { 'content-type': TYPE }, defParamCharset: 'utf8', preservePath: true }), form),
  '@fastify/busboy': (form) =>
    collect(new fastifyBusboy.Busboy({ headers: { 'content-type': TYPE }, preservePath: true }), form),
  'undici 7': (form) =>
    new UndiciResponse(form, { headers: { 'content-type': TYPE } })
      .formData()
      .then((read) => describeEntries(read as unknown as FormData))
      .catch(() => undefined),
}

type Parser = ReturnType<typeof busboy> | InstanceType<typeof fastifyBusboy.Busboy>

/** Both generations of busboy emit the same events, with the file's name and type in different places. */
async function collect(parser: Parser, form: Buffer): Promise<unknown> {
  const entries: unknown[] = []
  const emitter = parser as NodeJS.EventEmitter
  emitter.on('field', (name: string, value: string) => entries.push([name, value]))
  emitter.on(
    'file',
    (name: string, file: NodeJS.ReadableStream, info: unknown, _encoding: unknown, type: unknown) => {
      const { filename, mimeType } =
        typeof info === 'object' ? (info as Record<string, unknown>) : { filename: info, mimeType: type }
      const entry: unknown[] = [name, filename, mimeType]
      entries.push(entry)
      void buffer(file).then(
        (bytes) => entry.push(bytes.toString('hex')),
        () => {},
      )
    },
  )
  return new Promise((resolve) => {
    emitter.on('error', () => resolve(undefined))
    emitter.on('finish', () => setImmediate(() => resolve(entries)))
    new PassThrough().end(form).pipe(parser as NodeJS.WritableStream)
  })
}

describe('formData() compared with other parsers', () => {
  afterEach(closeServers)

  const file = part('form-data; name="f"; filename="ü.txt"', 'a\r\n-\r\n--x\0', 'image/png')
  for (const [title, form] of [
    ['fields', part('form-data; name="a"') + part('form-data; name="b"', '') + END],
    ['files', file + file + END],
    ['a preamble and an epilogue', `before\r\n${file}${END}behind`],
    ['further parameters', part('form-data; x=y; name=a') + END],
  ] as const) {
    for (const [name, parse] of Object.entries(others)) {
      it(`reads a form with ${title} as ${name} does`, async () => {
        const { entries } = await posted(form)
        expect(entries).to.deep.equal(await parse(Buffer.from(form)))
      })
    }
  }

  // Why none of them is the parser here: an application would get less than was sent, and no error.
  for (const [title, form, expected, wrong] of [
    [
      'cut at a line that begins with its boundary',
      part('form-data; name="a"', '12\r\n--xxy\r\n34') + END,
      400,
      { busboy: [['a', '12']], '@fastify/busboy': [['a', '12']] },
    ],
    [
      'that ends with padding',
      `--xx \r\n${part('form-data; name="a"').slice(6)}${END}`,
      200,
      { busboy: [], '@fastify/busboy': [] },
    ],
    ['with a semicolon too many', part('form-data; name="a";') + END, 200, { busboy: [] }],
    [
      'with a part without a disposition',
      `--xx\r\nX: y\r\n\r\n1\r\n${END}`,
      400,
      { busboy: [], '@fastify/busboy': [] },
    ],
    [
      'with filename*',
      part(`form-data; name="f"; filename="x"; filename*=utf-8''y`, '1', 'text/plain') + END,
      200,
      { '@fastify/busboy': [['f', 'x', 'text/plain', '31']] },
    ],
    [
      'with spaces in a file name',
      part('form-data; name=f; filename=my file', '1', 'text/plain') + END,
      200,
      { 'undici 7': [['f', 'my', 'text/plain', '31']] },
    ],
  ] as const) {
    it(`answers ${expected} to a form ${title}, which other parsers misread`, async () => {
      expect((await posted(form)).status).to.equal(expected)
      for (const [name, entries] of Object.entries(wrong)) {
        expect(await others[name]!(Buffer.from(form)), name).to.deep.equal(entries)
      }
    })
  }
})
