// What bodyCache costs a request whose body is read once, and one that nobody reads.
// `node bench/body-cache.mjs`, after `npm run build`.
import { fileURLToPath } from 'node:url'
import express from 'express'
import { bodyCache } from '../dist/esm/body-cache.js'
import { comparePaired, post } from './paired.mjs'

const answerDone = (_req, res) => res.end('done')

await comparePaired(fileURLToPath(import.meta.url), [
  readBy('JSON POST of 300 bytes', Buffer.from(JSON.stringify({ value: 'x'.repeat(286) }))),
  {
    ...readBy('JSON POST of 100 KB', Buffer.from(JSON.stringify({ value: 'x'.repeat(100_000) }))),
    requests: 200,
  },
  {
    title: 'GET without a body',
    variants: { without: [answerDone], again: [answerDone], 'with bodyCache': [bodyCache(), answerDone] },
    request: (path) => Buffer.from(`GET ${path} HTTP/1.1\r\nHost: bench\r\n\r\n`),
    answer: 'done',
  },
  {
    title: 'POST of 300 bytes that nobody reads',
    variants: { without: [answerDone], again: [answerDone], 'with bodyCache': [bodyCache(), answerDone] },
    request: (path) => post(path, 'text/plain', Buffer.alloc(300)),
    answer: 'done',
  },
])

function readBy(title, body) {
  const json = express.json({ limit: '1mb' })
  return {
    title: `${title}, express.json`,
    variants: {
      without: [json, answerDone],
      again: [json, answerDone],
      'with bodyCache': [bodyCache(), json, answerDone],
    },
    request: (path) => post(path, 'application/json', body),
    answer: 'done',
  }
}
