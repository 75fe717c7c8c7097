import { randomBytes } from 'node:crypto'
import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import path from 'node:path'
import { closeServers, serve } from '../../test/support/servers/servers.js'
import { ask, type Question, statusOf } from './asking.js'
import { compareAll, type Ways } from './compare.js'
import { startNginx } from './nginx-server.js'
import { temporaryFolder } from './program.js'
import { proxyTo } from './proxy.js'
import type { Trial } from './trial.js'
import { drippedBy } from './uploads.js'

const FILE_BYTES = 1_000_000

/** What nginx does with files, limits and other servers. */
export async function nginx(trial: Trial): Promise<void> {
  const files = temporaryFolder()
  const tag = fill(files)
  const streaming = await serve((_req, res) => void drip(res))
  const { url, version } = await startNginx(locations(files, streaming.port))
  trial.server = version
  const ways: Ways = { trial, direct: url, proxy: await proxyTo(url, { preserveHost: true }) }
  await compareAll(ways, questionsOfFiles(tag))
  await compareAll(ways, questionsOfLimits)
  await putAndGet(ways)
  await inLockStep(ways)
  await closeServers()
}

function fill(files: string): string {
  mkdirSync(path.join(files, 'folder'))
  mkdirSync(path.join(files, 'put'))
  const file = path.join(files, 'file.txt')
  writeFileSync(file, randomBytes(FILE_BYTES / 2).toString('hex'))
  writeFileSync(path.join(files, 'empty.txt'), '')
  const { mtimeMs, size } = statSync(file)
  return `"${Math.floor(mtimeMs / 1000).toString(16)}-${size.toString(16)}"`
}

function locations(files: string, streaming: number): string {
  return `
    root ${files}; client_max_body_size 1m; client_body_timeout 5s; keepalive_timeout 2s 2s;
    location /packed/ { alias ${files}/; gzip on; gzip_types *; gzip_min_length 1; }
    location /slow/ { alias ${files}/; limit_rate 500k; }
    location /listing/ { alias ${files}/; autoindex on; }
    location /put/ { dav_methods PUT DELETE; client_max_body_size 100m; }
    location /gone { return 444; }
    location /moved { return 301 /elsewhere; }
    location /cookies { add_header Set-Cookie a=1; add_header Set-Cookie b=2; return 200 ok; }
    location /headers { add_header X-Empty ""; add_header X-Latin "caf\xE9"; return 200 ok; }
    location /nothing { return 204; }
    location /locked { auth_basic "a realm"; auth_basic_user_file ${files}/none; }
    location /streamed { proxy_pass http://127.0.0.1:${streaming}; proxy_buffering off; proxy_http_version 1.1; }
    location /abrupt/ { lingering_close off; }
    location /dead { proxy_pass http://127.0.0.1:1; }`
}

function questionsOfFiles(tag: string): Record<string, Question> {
  const file = (headers: Record<string, string>): Question => ({ path: '/file.txt', headers })
  return {
    file: file({}),
    'file, read slowly': { ...file({}), slowly: true },
    'gzip, read slowly': { path: '/packed/file.txt', headers: { 'Accept-Encoding': 'gzip' }, slowly: true },
    'empty file': { path: '/empty.txt' },
    'HEAD of a file': { method: 'HEAD', path: '/file.txt' },
    'If-None-Match': file({ 'If-None-Match': tag }),
    'If-None-Match, another': file({ 'If-None-Match': '"x"' }),
    'If-Modified-Since': file({ 'If-Modified-Since': new Date(Date.now() + 1e6).toUTCString() }),
    'If-Match, another': file({ 'If-Match': '"x"' }),
    range: file({ Range: 'bytes=10-99' }),
    'range to the end': file({ Range: 'bytes=-7' }),
    'range with If-Range': file({ Range: 'bytes=0-9', 'If-Range': tag }),
    'range past the end': file({ Range: 'bytes=99999999-' }),
    gzip: { path: '/packed/file.txt', headers: { 'Accept-Encoding': 'gzip' } },
    'gzip, 304': {
      path: '/packed/file.txt',
      headers: { 'Accept-Encoding': 'gzip', 'If-None-Match': `W/${tag}` },
    },
    'gzip, not asked for': { path: '/packed/file.txt' },
    'gzip, HEAD': { method: 'HEAD', path: '/packed/file.txt', headers: { 'Accept-Encoding': 'gzip' } },
    limit_rate: { path: '/slow/file.txt' },
    listing: { path: '/listing/' },
    'redirect of a folder': { path: '/folder', headers: { Host: 'site.example' } },
    'no such file': { path: '/none.txt' },
    'escaped path': { path: '/%66ile.txt?a=%2F' },
  }
}

const questionsOfLimits: Record<string, Question> = {
  'connection closed without an answer (444)': { path: '/gone' },
  redirect: { path: '/moved' },
  'two cookies': { path: '/cookies' },
  'bytes of Latin-1': { path: '/headers' },
  204: { path: '/nothing' },
  401: { path: '/locked' },
  '502 of its own': { path: '/dead' },
  'POST to a file': { method: 'POST', path: '/file.txt', body: 'x' },
  TRACE: { method: 'TRACE', path: '/file.txt' },
  'long path': { path: `/${'a'.repeat(9000)}` },
  'long header': { path: '/file.txt', headers: { 'X-Long': 'a'.repeat(9000) } },
  'another server name': { path: '/file.txt', headers: { Host: 'other.example' } },
  'early 413, announced': { method: 'PUT', path: '/file.txt', body: Buffer.alloc(2_000_000) },
  'early 413, 50 MB': {
    method: 'PUT',
    path: '/file.txt',
    body: drippedBy(50, 1_000_000),
    headers: { 'Content-Length': 50_000_000 },
  },
  'early 413, connection reset': { method: 'PUT', path: '/abrupt/x', body: drippedBy(50, 1_000_000) },
  'early 413, 50 MB in chunks': { method: 'PUT', path: '/file.txt', body: drippedBy(50, 1_000_000) },
}

/** Uploads that nginx keeps, by length and in chunks, and reads back. */
async function putAndGet({ trial, direct, proxy }: Ways): Promise<void> {
  for (const [path_, headers] of [
    ['/put/length', { 'Content-Length': 50_000_000 }],
    ['/put/chunks', {}],
    ['/put/expect', { 'Content-Length': 50_000_000, Expect: '100-continue' }],
  ] as const) {
    const body = drippedBy(50, 1_000_000)
    const put = await ask(proxy.url, { method: 'PUT', path: path_, headers, body })
    trial.holds(`PUT ${path_}`, statusOf(put) === 201, () => JSON.stringify(put))
    const [kept, got] = [await ask(direct, { path: path_ }), await ask(proxy.url, { path: path_ })]
    trial.holds(`GET ${path_}`, 'length' in kept && kept.length === 50_000_000)
    trial.same(`GET ${path_}`, kept, got)
    const removed = await ask(proxy.url, { method: 'DELETE', path: path_ })
    trial.holds(`DELETE ${path_}`, statusOf(removed) === 204, () => JSON.stringify(removed))
  }
}

const waiting: (() => void)[] = []

/** Sends a part each time the client has seen the last one. */
async function drip(res: ServerResponse): Promise<void> {
  for (let part = 0; part < 20; part += 1) {
    res.write(`part ${part}\n`)
    await new Promise<void>((resolve) => waiting.push(resolve))
  }
  res.end('end')
}

/** `proxy_buffering off`: nginx passes each part on as it comes, and so have we to. */
async function inLockStep({ trial, proxy }: Ways): Promise<void> {
  const answer = await fetch(`${proxy.url}/streamed`, { signal: AbortSignal.timeout(10_000) })
  let parts = 0
  for await (const chunk of answer.body as AsyncIterable<Uint8Array>) {
    parts += Buffer.from(chunk).toString().split('\n').length - 1
    waiting.shift()?.()
  }
  trial.holds('each part of a stream comes at once', parts === 20, () => `${parts} parts`)
}
