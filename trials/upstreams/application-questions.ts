import type { Question } from './asking.js'
import { drippedBy } from './uploads.js'

/** Some servers name it in their answers. */
const host = { Host: 'site.example' }

const form = { 'Content-Type': 'application/x-www-form-urlencoded' }

const questions: Readonly<Record<string, Question>> = {
  GET: { path: '/x?a=%20b' },
  HEAD: { path: '/x', method: 'HEAD' },
  stream: { path: '/stream' },
  'HEAD of a stream': { path: '/stream', method: 'HEAD' },
  large: { path: '/large' },
  'large, read slowly': { path: '/large', slowly: true },
  304: { path: '/not-modified' },
  204: { path: '/nothing' },
  redirect: { path: '/moved' },
  'an exception': { path: '/broken' },
  POST: { path: '/x', method: 'POST', body: 'a=b', headers: form },
  'POST of nothing': { path: '/x', method: 'POST' },
  'POST of 5 MB': {
    path: '/x',
    method: 'POST',
    body: drippedBy(5, 1_000_000),
    headers: { 'Content-Length': 5_000_000, 'Content-Type': 'text/plain' },
  },
  'POST in chunks': { path: '/x', method: 'POST', body: drippedBy(5, 1_000_000) },
  'POST with Expect': {
    path: '/x',
    method: 'POST',
    body: 'a=b',
    headers: { ...form, Expect: '100-continue' },
  },
  'POST that is not read, small': { path: '/unread', method: 'POST', body: 'a=b', headers: form },
  'POST that is not read, 20 MB': {
    path: '/unread',
    method: 'POST',
    body: drippedBy(20, 1_000_000),
    headers: { 'Content-Length': 20_000_000 },
  },
  'unknown method': { path: '/x', method: 'PROPFIND' },
}

/** What an application server is asked. */
export const applicationQuestions: Readonly<Record<string, Question>> = withHost(questions)

/** Asks each as a client of the same site. */
export function withHost(some: Readonly<Record<string, Question>>): Record<string, Question> {
  const each = Object.entries(some).map(([name, question]) => {
    return [name, { ...question, headers: { ...host, ...question.headers } }] as const
  })
  return Object.fromEntries(each)
}
