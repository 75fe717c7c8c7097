// What maxBytes costs a request that stays within its limit.
import express from 'express'
import { maxBytes } from '../dist/esm/max-bytes.js'
import { answerDone, comparePaired, openGets, openPosts, ratioGoal } from './measure/paired.mjs'

export const run = (options) => comparePaired(import.meta.url, options)

const json = Buffer.from(JSON.stringify({ value: 'x'.repeat(286) }))
const megabyte = Buffer.alloc(1024 * 1024)
const readThenAnswer = (req, res) => req.on('end', () => res.end('done')).resume()

export function cases() {
  return [
    {
      title: 'JSON POST of 300 bytes, express.json',
      amount: 500,
      variants: variants('1mb', [express.json(), answerDone]),
      open: (target) => openPosts({ ...target, type: 'application/json', body: json }),
      goals: ratioGoal('maxBytes, JSON POST of 300 bytes', 'with maxBytes', 1.03),
    },
    {
      title: 'upload of 1 MB, read to its end',
      amount: 50,
      variants: variants('2mb', [readThenAnswer]),
      open: (target) => openPosts({ ...target, type: 'application/octet-stream', body: megabyte }),
      goals: ratioGoal('maxBytes, upload of 1 MB', 'with maxBytes', 1.03),
    },
    {
      title: 'GET without a body',
      amount: 500,
      variants: variants('1mb', [answerDone]),
      open: openGets,
    },
  ]
}

function variants(limit, handlers) {
  return { without: handlers, 'without, again': handlers, 'with maxBytes': [maxBytes(limit), ...handlers] }
}
