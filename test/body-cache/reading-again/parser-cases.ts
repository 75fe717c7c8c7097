import { gzipSync } from 'node:zlib'

export const JSON_TYPE = { 'Content-Type': 'application/json' }
const FORM_TYPE = { 'Content-Type': 'application/x-www-form-urlencoded' }
const GZIP = { 'Content-Encoding': 'gzip' }

/** A request to a parser, and what it finds. */
export interface ParserCase {
  readonly it: string
  readonly parser: 'json' | 'urlencoded' | 'raw' | 'text'
  readonly options?: object
  readonly headers: Record<string, string>
  readonly body: string | Buffer | string[]
  /** What the parser left in `req.body`, or the error it passed on. */
  readonly finds: { readonly body: unknown } | { readonly status: number; readonly type?: string }
}

const refuseAll = (): never => {
  throw new Error('not signed')
}

export const parserCases: readonly ParserCase[] = [
  {
    it: 'parses JSON',
    parser: 'json',
    headers: JSON_TYPE,
    body: '{"a":[1]}',
    finds: { body: { a: [1] } },
  },
  {
    it: 'names what is not JSON',
    parser: 'json',
    headers: JSON_TYPE,
    body: '{"a":',
    finds: { status: 400, type: 'entity.parse.failed' },
  },
  {
    it: 'refuses a JSON string where it is strict',
    parser: 'json',
    headers: JSON_TYPE,
    body: '"a"',
    finds: { status: 400, type: 'entity.parse.failed' },
  },
  {
    it: 'takes a JSON string where it is not strict',
    parser: 'json',
    options: { strict: false },
    headers: JSON_TYPE,
    body: '"a"',
    finds: { body: 'a' },
  },
  {
    it: 'refuses an announced length over its limit',
    parser: 'json',
    options: { limit: 4 },
    headers: JSON_TYPE,
    body: '{"a":1}',
    finds: { status: 413, type: 'entity.too.large' },
  },
  {
    it: 'refuses chunks over its limit',
    parser: 'json',
    options: { limit: 4 },
    headers: JSON_TYPE,
    body: ['{"a"', ':1}', 'x'.repeat(100_000)],
    finds: { status: 413, type: 'entity.too.large' },
  },
  {
    it: 'refuses what decompresses to more than its limit',
    parser: 'raw',
    options: { limit: 100, type: () => true },
    headers: GZIP,
    body: gzipSync('x'.repeat(1000)),
    finds: { status: 413, type: 'entity.too.large' },
  },
  {
    it: 'decompresses',
    parser: 'json',
    headers: { ...JSON_TYPE, ...GZIP },
    body: gzipSync('{"a":1}'),
    finds: { body: { a: 1 } },
  },
  {
    it: 'refuses compressed bodies without inflate',
    parser: 'json',
    options: { inflate: false },
    headers: { ...JSON_TYPE, ...GZIP },
    body: gzipSync('{"a":1}'),
    finds: { status: 415, type: 'encoding.unsupported' },
  },
  {
    it: 'refuses an encoding that it does not know',
    parser: 'json',
    headers: { ...JSON_TYPE, 'Content-Encoding': 'smoke' },
    body: '{"a":1}',
    finds: { status: 415, type: 'encoding.unsupported' },
  },
  {
    it: 'refuses a charset that it does not know',
    parser: 'json',
    headers: { 'Content-Type': 'application/json; charset=x-smoke' },
    body: '{"a":1}',
    finds: { status: 415, type: 'charset.unsupported' },
  },
  {
    it: 'refuses a charset that is not UTF',
    parser: 'json',
    headers: { 'Content-Type': 'application/json; charset=latin1' },
    body: '{}',
    finds: { status: 415, type: 'charset.unsupported' },
  },
  {
    it: 'revives',
    parser: 'json',
    options: { reviver: (_key: string, value: unknown) => (value === 1 ? 2 : value) },
    headers: JSON_TYPE,
    body: '{"a":1}',
    finds: { body: { a: 2 } },
  },
  {
    it: 'decompresses bytes',
    parser: 'raw',
    options: { type: () => true },
    headers: { 'Content-Type': 'image/png', ...GZIP },
    body: gzipSync('abc'),
    finds: { body: { type: 'Buffer', data: [97, 98, 99] } },
  },
  {
    it: 'reports damaged data',
    parser: 'raw',
    options: { type: () => true },
    headers: { 'Content-Type': 'image/png', ...GZIP },
    body: 'no gzip',
    finds: { status: 400 },
  },
  {
    it: 'refuses what verify refuses',
    parser: 'json',
    options: { verify: refuseAll },
    headers: JSON_TYPE,
    body: '{"a":1}',
    finds: { status: 403, type: 'entity.verify.failed' },
  },
  {
    it: 'parses forms',
    parser: 'urlencoded',
    options: { extended: true },
    headers: FORM_TYPE,
    body: 'a[b]=1&c=%C3%BC',
    finds: { body: { a: { b: '1' }, c: 'ü' } },
  },
  {
    it: 'refuses a form of too many parameters',
    parser: 'urlencoded',
    options: { extended: true, parameterLimit: 2 },
    headers: FORM_TYPE,
    body: 'a=1&b=2&c=3',
    finds: { status: 413, type: 'parameters.too.many' },
  },
  {
    it: 'reads text in its charset',
    parser: 'text',
    headers: { 'Content-Type': 'text/plain; charset=iso-8859-1' },
    body: Buffer.from('grün', 'latin1'),
    finds: { body: 'grün' },
  },
  {
    it: 'takes types that it was told to take',
    parser: 'text',
    options: { type: 'application/*' },
    headers: JSON_TYPE,
    body: '{"a":1}',
    finds: { body: '{"a":1}' },
  },
]
