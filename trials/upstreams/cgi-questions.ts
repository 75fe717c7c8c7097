import type { Question } from './asking.js'
import { drippedBy } from './uploads.js'

const cgi = (path: string, more: Question = {}): Question => ({
  path: `/cgi/answer.cgi${path}`,
  undecided: ['content-length', 'accept-ranges'],
  ...more,
})
const file = (headers: Record<string, string> = {}): Question => ({ path: '/file.txt', headers })

/** What a server with files and CGI programs is asked. */
export const cgiQuestions: Readonly<Record<string, Question>> = {
  file: file(),
  'HEAD of a file': { path: '/file.txt', method: 'HEAD' },
  'empty file': { path: '/empty.txt' },
  range: file({ Range: 'bytes=10-99' }),
  'range past the end': file({ Range: 'bytes=99999999-' }),
  'If-Modified-Since': file({ 'If-Modified-Since': new Date(Date.now() + 1e6).toUTCString() }),
  'If-Match, another': file({ 'If-Match': '"x"' }),
  gzip: file({ 'Accept-Encoding': 'gzip' }),
  'redirect of a folder': { path: '/folder', headers: { Host: 'site.example' } },
  'no such file': { path: '/none.txt' },
  'POST to a file': { path: '/file.txt', method: 'POST', body: 'a=b' },
  OPTIONS: { method: 'OPTIONS', path: '/file.txt' },
  'unknown method': { method: 'PROPFIND', path: '/file.txt' },
  'long path': { path: `/${'a'.repeat(9000)}` },
  'long header': { path: '/file.txt', headers: { 'X-Long': 'a'.repeat(9000) } },
  'cgi, GET': cgi('/x?a=%20b', { headers: { Cookie: 'a=b', 'X-A': '1' } }),
  'cgi, HEAD': cgi('/x', { method: 'HEAD' }),
  'cgi, stream': cgi('/stream'),
  'cgi, length': cgi('/length'),
  'cgi, status and cookies': cgi('/status'),
  'cgi, redirect': cgi('/moved'),
  'cgi, 304': cgi('/not-modified'),
  'cgi, broken': cgi('/broken'),
  'cgi, POST': cgi('/x', { method: 'POST', body: 'a=b', headers: { 'Content-Type': 'text/plain' } }),
  'cgi, POST of nothing': cgi('/x', { method: 'POST' }),
  'cgi, POST of 5 MB': cgi('/x', {
    method: 'POST',
    body: drippedBy(5, 1_000_000),
    headers: { 'Content-Length': 5_000_000 },
  }),
  'cgi, POST in chunks': cgi('/x', { method: 'POST', body: drippedBy(5, 1_000_000) }),
  'cgi, POST with Expect': cgi('/x', { method: 'POST', body: 'a=b', headers: { Expect: '100-continue' } }),
  'cgi, POST that is not read': cgi('/unread', { method: 'POST', body: drippedBy(5, 1_000_000) }),
  'POST that is too large': cgi('/x', { method: 'POST', body: Buffer.alloc(12_000_000) }),
  'POST in chunks that is too large': cgi('/x', { method: 'POST', body: drippedBy(12, 1_000_000) }),
}
