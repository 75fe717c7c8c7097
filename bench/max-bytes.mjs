// What maxBytes costs a request that stays within its limit. `node bench/max-bytes.mjs`, after `npm run build`.
import { fileURLToPath } from 'node:url'
import express from 'express'
import { maxBytes } from '../dist/esm/max-bytes.js'
import { comparePaired, post } from './paired.mjs'

const json = Buffer.from(JSON.stringify({ value: 'x'.repeat(286) }))
const megabyte = Buffer.alloc(1024 * 1024)
const answerDone = (_req, res) => res.end('done')
const readThenAnswer = (req, res) => req.on('end', () => res.end('done')).resume()

await comparePaired(fileURLToPath(import.meta.url), [
  {
    title: 'JSON POST of 300 bytes, express.json',
    variants: {
      without: [express.json(), answerDone],
      again: [express.json(), answerDone],
      'with maxBytes': [maxBytes('1mb'), express.json(), answerDone],
    },
    request: (path) => post(path, 'application/json', json),
    answer: 'done',
  },
  {
    title: 'upload of 1 MB, read to its end',
    requests: 50,
    variants: {
      without: [readThenAnswer],
      again: [readThenAnswer],
      'with maxBytes': [maxBytes('2mb'), readThenAnswer],
    },
    request: (path) => post(path, 'application/octet-stream', megabyte),
    answer: 'done',
  },
  {
    title: 'GET without a body',
    variants: { without: [answerDone], again: [answerDone], 'with maxBytes': [maxBytes('1mb'), answerDone] },
    request: (path) => Buffer.from(`GET ${path} HTTP/1.1\r\nHost: bench\r\n\r\n`),
    answer: 'done',
  },
])
