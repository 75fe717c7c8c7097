// The requests of a client to the program (program.ts), with the status of the answer.
import { gzipSync } from 'node:zlib'
import { type Asked, asks } from './asked.js'

const statusOfSent: Readonly<Record<string, number>> = {
  created: 201,
  'no-content': 204,
  'reset-content': 205,
  'json-null': 418,
  status: 404,
  'odd-status': 599,
  redirect: 302,
  'redirect-back': 301,
  'render-missing': 500,
}

const sentNames = [
  'text',
  'unicode',
  'buffer',
  'object',
  'null',
  'nothing',
  'boolean',
  'large',
  'created',
  'no-content',
  'reset-content',
  'own-etag',
  'latin1',
  'twice',
  'json',
  'json-null',
  'jsonp?callback=f',
  'jsonp',
  'status',
  'odd-status',
  'redirect',
  'redirect-back',
  'location',
  'render',
  'render-callback',
  'render-missing',
  'format',
  'format-default',
  'callback',
  'locals',
]

const answers = sentNames.flatMap((name) => {
  const status = statusOfSent[name] ?? 200
  return [asks(status, `/send/${name}`), asks(status, `/send/${name}`, { method: 'HEAD' })]
})

const headers = [
  ...['vary', 'cookies', 'links', 'attachment', 'append', 'set', 'type', 'removed'].map((name) =>
    asks(200, `/headers/${name}`),
  ),
  asks(302, '/send/redirect', { headers: { Accept: 'text/html' } }),
  asks(302, '/send/redirect', { headers: { Accept: 'image/png' } }),
  asks(301, '/send/redirect-back', { headers: { Referer: '/from' } }),
  asks(200, '/send/format', { headers: { Accept: 'application/json' } }),
  asks(200, '/send/format', { headers: { Accept: 'text/html;q=0.9, text/plain;q=0.1' } }),
  asks(406, '/send/format', { headers: { Accept: 'image/png' } }),
  asks(200, '/send/format-default', { headers: { Accept: 'image/png' } }),
]

const caching = [
  asks(304, '/send/own-etag', { headers: { 'If-None-Match': '"mine"' } }),
  asks(304, '/send/own-etag', { headers: { 'If-None-Match': '*' } }),
  asks(200, '/send/own-etag', { headers: { 'If-None-Match': '"other"' } }),
  asks(200, '/send/own-etag', { headers: { 'If-None-Match': '"mine"', 'Cache-Control': 'no-cache' } }),
  asks(304, '/send/own-etag', { method: 'HEAD', headers: { 'If-None-Match': 'W/"mine"' } }),
  asks(304, '/file', { headers: { 'If-Modified-Since': 'Sat, 01 Jan 2028 00:00:00 GMT' } }),
  asks(200, '/file', { headers: { 'If-Modified-Since': 'Sat, 01 Jan 2000 00:00:00 GMT' } }),
  asks(412, '/file', { headers: { 'If-Match': '"nothing"' } }),
  asks(412, '/file', { headers: { 'If-Unmodified-Since': 'Sat, 01 Jan 2000 00:00:00 GMT' } }),
]

const ranges = [
  ...['bytes=0-4', 'bytes=-5', 'bytes=49990-', 'bytes=5-999999'].map((Range) =>
    asks(206, '/file', { headers: { Range } }),
  ),
  asks(206, '/file', { method: 'HEAD', headers: { Range: 'bytes=0-4' } }),
  asks(416, '/file', { headers: { Range: 'bytes=999999-' } }),
  asks(200, '/file', { headers: { Range: 'bytes=0-4,10-14' } }),
  asks(200, '/file', { headers: { Range: 'lines=0-4' } }),
  asks(200, '/file', { headers: { Range: 'bytes=0-4', 'If-Range': '"other"' } }),
  asks(206, '/static/plain/large.txt', { headers: { Range: 'bytes=1-2' } }),
  asks(200, '/static/ranges-off/large.txt', { headers: { Range: 'bytes=1-2' } }),
  asks(200, '/request', { headers: { Range: 'bytes=0-4,10-14' } }),
]

const fileAnswers = [
  asks(200, '/file'),
  asks(200, '/file', { method: 'HEAD' }),
  asks(200, '/file/root'),
  asks(404, '/file/missing'),
  asks(404, '/file/hidden'),
  asks(404, '/file/callback'),
  asks(200, '/download'),
  asks(200, '/download/named'),
  asks(200, '/download', { version: '1.0' }),
  asks(200, '/static/plain/'),
  asks(301, '/static/plain/sub'),
  asks(301, '/static/plain/sub?a=1'),
  asks(200, '/static/plain/sub/'),
  asks(404, '/static/plain/.hidden'),
  asks(404, '/static/plain/nothing'),
  asks(404, '/static/plain/large.txt', { method: 'POST' }),
  asks(404, '/static/plain/../program.ts'),
  asks(404, '/static/plain/%2e%2e/x'),
  asks(404, '/static/plain/a%00b'),
  asks(405, '/static/strict/large.txt', { method: 'POST' }),
  asks(404, '/static/strict/'),
  asks(404, '/static/strict/sub'),
  asks(403, '/static/strict/.hidden'),
  asks(404, '/static/strict/nothing'),
  asks(403, '/static/strict/%2e%2e/x'),
  asks(400, '/static/strict/%zz'),
  asks(200, '/static/free/.hidden'),
  asks(200, '/static/free/large'),
  asks(200, '/static/free/large.txt', { method: 'HEAD' }),
]

const streamAnswers = [
  ...[
    'writes',
    'over-time',
    'with-length',
    'flat-head',
    'trailers',
    'interim',
    'corked',
    'encodings',
    'pipe',
  ].flatMap((name) => [
    asks(name === 'interim' ? 103 : 200, `/stream/${name}`),
    asks(name === 'interim' ? 103 : 200, `/stream/${name}`, { version: '1.0' }),
    asks(name === 'interim' ? 103 : 200, `/stream/${name}`, { method: 'HEAD' }),
  ]),
  asks(203, '/stream/head'),
  asks(200, '/stream/cut', { closes: true }),
  asks(200, '/stream/cut', { version: '1.0' }),
  asks(200, '/send/text', { version: '1.0' }),
  asks(200, '/send/text', { version: '1.0', headers: { Connection: 'keep-alive' } }),
  asks(200, '/send/text', { headers: { Connection: 'close' } }),
  asks(200, '/stream/writes', { headers: { Connection: 'close' } }),
]

const told = {
  'X-Forwarded-For': '1.2.3.4, 127.0.0.1',
  'X-Forwarded-Proto': 'https',
  'X-Forwarded-Host': 'x.y.z.test',
}

const requestAnswers = [
  asks(200, '/request/deep/er?a=1&a=2&b[c]=d&e'),
  asks(200, '/request?x', { headers: told }),
  asks(200, '/settings/request?b[c]=d', { headers: told }),
  asks(200, '/settings/request', { headers: { 'X-Requested-With': 'XMLHttpRequest', Referrer: '/r' } }),
  asks(200, '/request', {
    headers: {
      Accept: 'application/json;q=0.5, text/html',
      'Accept-Language': 'en;q=0.1, de',
      'Accept-Charset': 'latin1',
      'Accept-Encoding': 'br',
    },
  }),
  asks(200, '/request', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json; charset=x' },
    body: '{}',
  }),
  asks(200, '/request', { method: 'PUT', headers: { 'Content-Type': 'text/csv' }, chunks: ['a,b'] }),
  asks(200, '/request', { method: 'DELETE', headers: { 'If-None-Match': '*', Cookie: 'a=b' } }),
  asks(200, 'http://other.test/request?absolute'),
  asks(200, '/request/%C3%BC%2F;v=1//x'),
  asks(200, '/settings/json'),
  asks(200, '/settings/jsonp?cb=f'),
  asks(200, '/settings/Case'),
  asks(404, '/settings/case'),
  asks(404, '/settings/Case/'),
  asks(200, '/settings/mounted'),
]

const routingAnswers = [
  ...['GET', 'POST', 'PUT', 'HEAD'].map((method) => asks(200, '/routing/chain', { method })),
  asks(404, '/routing/chain', { method: 'PATCH' }),
  asks(200, '/routing/first', { method: 'OPTIONS' }),
  asks(404, '/routing/first', { method: 'POST' }),
  asks(200, '/routing/skip/route'),
  asks(200, '/routing/skip/nothing'),
  asks(200, '/routing/leave/x'),
  asks(200, '/routing/all', { method: 'PROPFIND' }),
  asks(200, '/routing/expression/42'),
  asks(404, '/routing/expression/x'),
  asks(200, '/routing/first'),
  asks(200, '/ROUTING/second/'),
  asks(200, '/routing/several'),
  asks(200, '/routing/rewritten?kept'),
  asks(200, '/routing/items/7'),
  asks(500, '/routing/items/bad'),
  asks(200, '/routing/items/%C3%BC'),
  asks(400, '/routing/items/%zz'),
  asks(200, '/routing/items/7/details/color?q'),
  asks(404, '/nowhere'),
  asks(404, '/'),
  asks(404, '/nowhere', { method: 'OPTIONS' }),
  asks(404, '*', { method: 'OPTIONS' }),
  asks(404, '/<script>', { method: 'DELETE' }),
]

const json = { 'Content-Type': 'application/json' }
const form = { 'Content-Type': 'application/x-www-form-urlencoded' }
const text = { 'Content-Type': 'text/plain' }
const post = { method: 'POST' }

const bodyAnswers = [
  asks(200, '/body/json', { ...post, headers: json, body: '{"a":[1]}' }),
  asks(200, '/body/json', { ...post, headers: json, chunks: ['{"a"', ':1}'] }),
  asks(200, '/body/json', { ...post, headers: json, body: '' }),
  asks(200, '/body/json', { ...post, headers: text, body: 'no json' }),
  asks(200, '/body/json', post),
  asks(400, '/body/json', { ...post, headers: json, body: '{"a":' }),
  asks(400, '/body/json', { ...post, headers: json, body: '1' }),
  asks(413, '/body/json', { ...post, headers: json, body: `"${'x'.repeat(200)}"` }),
  asks(413, '/body/json', { ...post, headers: json, chunks: ['['.repeat(200)] }),
  asks(415, '/body/json', {
    ...post,
    headers: { 'Content-Type': 'application/json; charset=x-odd' },
    body: '{}',
  }),
  asks(415, '/body/json', { ...post, headers: { ...json, 'Content-Encoding': 'odd' }, body: '{}' }),
  asks(200, '/body/json', {
    ...post,
    headers: { ...json, 'Content-Encoding': 'gzip' },
    body: gzipSync('{"packed":true}'),
  }),
  asks(400, '/body/json', { ...post, headers: { ...json, 'Content-Encoding': 'gzip' }, body: 'not gzip' }),
  asks(200, '/body/loose', { ...post, headers: text, body: '1' }),
  asks(200, '/body/form', { ...post, headers: form, body: 'a[b]=1&c=%20x' }),
  asks(200, '/body/simple-form', { ...post, headers: form, body: 'a[b]=1' }),
  asks(413, '/body/simple-form', { ...post, headers: form, body: 'a=1&b=2&c=3' }),
  asks(200, '/body/text', {
    ...post,
    headers: { 'Content-Type': 'text/plain; charset=utf-16le' },
    body: Buffer.from('hi', 'utf16le'),
  }),
  asks(200, '/body/raw', { ...post, body: Buffer.from([1, 2, 255]) }),
  asks(415, '/body/raw', { ...post, headers: { 'Content-Encoding': 'gzip' }, body: gzipSync('x') }),
  asks(200, '/body/verified', { ...post, headers: json, body: '[1]' }),
  asks(403, '/body/verified', { ...post, headers: json, body: '[1,2,3]' }),
  asks(200, '/body/any', { ...post, headers: text, body: 'by the third' }),
  asks(200, '/body/any', { ...post, headers: form, body: 'b=second' }),
  asks(200, '/body/pipe', { ...post, body: 'piped '.repeat(5000) }),
  asks(200, '/body/pipe', { ...post, chunks: ['one', 'two'] }),
  asks(200, '/body/iterate', { ...post, chunks: ['a', 'bc'], trailer: 'X-Trailer: yes\r\n' }),
  asks(200, '/body/iterate', post),
  asks(200, '/body/encoding', { ...post, body: 'grüße' }),
  asks(200, '/body/unread', { ...post, body: 'x'.repeat(1000) }),
  asks(200, '/body/unread', { ...post, chunks: ['ignored'] }),
  asks(200, '/body/iterate', { method: 'GET', body: 'a body of GET' }),
  asks(100, '/body/pipe', { ...post, headers: { Expect: '100-continue' }, body: 'expected' }),
]

const errorAnswers = [
  ...Object.entries({
    throw: 500,
    next: 500,
    text: 500,
    status: 418,
    'wrong-status': 500,
    'response-status': 503,
    handled: 422,
    'not-found': 404,
  }).flatMap(([name, status]) => [
    asks(status, `/errors/${name}`),
    asks(status, `/errors/${name}`, { ...post, headers: json, body: '{"unread":1}' }),
  ]),
  asks(200, '/errors/after-head', { closes: true }),
  asks(500, '/errors/throw', { method: 'HEAD' }),
  asks(500, '/errors/rejected', { only: 'Express 5' }),
]

export const requests: readonly Asked[] = [
  ...answers,
  ...headers,
  ...caching,
  ...ranges,
  ...fileAnswers,
  ...streamAnswers,
  ...requestAnswers,
  ...routingAnswers,
  ...bodyAnswers,
  ...errorAnswers,
]
