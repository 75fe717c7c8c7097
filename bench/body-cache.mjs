// What bodyCache costs a request whose body is read once, and one that nobody reads.
import express from 'express'
import { bodyCache } from '../dist/esm/body-cache.js'
import { answerDone, comparePaired, openGets, openPosts, ratioGoal } from './measure/paired.mjs'

export const run = (options) => comparePaired(import.meta.url, options)

export function cases() {
  return [
    {
      ...readBy(286, 'bodyCache, JSON POST of 300 bytes', 1.15),
      title: 'JSON POST of 300 bytes, express.json',
    },
    {
      ...readBy(100_000, 'bodyCache, JSON POST of 100 KB', 1.15),
      title: 'JSON POST of 100 KB, express.json',
      amount: 200,
    },
    {
      ...readBy(1_000_000, 'bodyCache, JSON POST of 1 MB', 1.15),
      title: 'JSON POST of 1 MB, express.json',
      amount: 20,
    },
    {
      title: 'GET without a body',
      amount: 500,
      variants: variants([answerDone]),
      open: openGets,
      goals: ratioGoal('bodyCache, GET without a body', 'with bodyCache', 1.05),
    },
    {
      title: 'POST of 300 bytes that nobody reads',
      amount: 500,
      variants: variants([answerDone]),
      open: (target) => openPosts({ ...target, type: 'text/plain', body: Buffer.alloc(300) }),
      goals: ratioGoal('bodyCache, POST that nobody reads', 'with bodyCache', 1.05),
    },
  ]
}

function readBy(length, goal, limit) {
  const body = Buffer.from(JSON.stringify({ value: 'x'.repeat(length) }))
  return {
    amount: 500,
    variants: variants([express.json({ limit: '2mb' }), answerDone]),
    open: (target) => openPosts({ ...target, type: 'application/json', body }),
    goals: ratioGoal(goal, 'with bodyCache', limit),
  }
}

function variants(handlers) {
  return { without: handlers, 'without, again': handlers, 'with bodyCache': [bodyCache(), ...handlers] }
}
