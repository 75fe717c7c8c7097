// One way to read a large upload, in a process of its own: `node serve.mjs <variant>`.
import { randomUUID } from 'node:crypto'
import { createReadStream, createWriteStream, mkdtempSync, rmSync } from 'node:fs'
import { unlink } from 'node:fs/promises'
import { createServer } from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { finished, pipeline } from 'node:stream/promises'
import express from 'express'
import multer from 'multer'
import getRawBody from 'raw-body'
import { bodyCache } from '../../dist/esm/body-cache.js'
import { listen, report } from '../measure/usage.mjs'

const folder = mkdtempSync(path.join(os.tmpdir(), 'bench-spilled-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
process.on('SIGTERM', () => process.exit())

const handlers = {
  'raw-body into memory, read once': [async (req, res) => res.end(String((await getRawBody(req)).length))],
  'bodyCache, read once': [bodyCache('200mb'), async (req, res) => res.end(String(await lengthOf(req)))],
  'bodyCache, read twice': [
    bodyCache('200mb'),
    async (req, res) => {
      const first = await lengthOf(req)
      res.end(`${first} ${await lengthOf(req)}`)
    },
  ],
  'a temporary file of its own, read twice': [
    async (req, res) => {
      const file = path.join(folder, randomUUID())
      const [first] = await Promise.all([lengthOf(req), pipeline(req, createWriteStream(file))])
      await answer(res, [first, await lengthOf(createReadStream(file))], file)
    },
  ],
  "multer's file, read twice": [
    multer({ dest: folder }).single('file'),
    async ({ file }, res) => {
      const first = await lengthOf(createReadStream(file.path))
      await answer(res, [first, await lengthOf(createReadStream(file.path))], file.path)
    },
  ],
}

/** Reads a stream to its end. */
async function lengthOf(stream) {
  let length = 0
  stream.on('data', (chunk) => (length += chunk.length))
  await finished(stream, { writable: false })
  return length
}

async function answer(res, lengths, file) {
  await unlink(file)
  res.end(lengths.join(' '))
}

report(await listen(createServer(express().post('/', ...handlers[process.argv[2]]))))
