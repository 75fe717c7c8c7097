// One server that refuses large uploads, in a process of its own: `node serve.mjs <name>`.
import { createServer } from 'node:http'
import express from 'express'
import getRawBody from 'raw-body'
import { maxBytes } from '../../dist/esm/max-bytes.js'
import { listen, report } from '../measure/usage.mjs'
import { LIMIT } from './settings.mjs'

const done = (_req, res) => res.end('done')

const handlers = {
  'max-bytes': [maxBytes(LIMIT), express.json({ limit: LIMIT }), done],
  'patient-max-bytes': [maxBytes({ limit: LIMIT, lingerMs: 30_000 }), express.json({ limit: LIMIT }), done],
  'express-json': [express.json({ limit: LIMIT }), done],
  'raw-body': [
    (req, res) =>
      getRawBody(req, { limit: LIMIT }).then(
        () => res.end('done'),
        ({ status, message }) => res.status(status).send(message),
      ),
  ],
}

// Express' final handler logs each 413 with its stack.
console.error = () => {}
report(await listen(createServer(express().post('/', ...handlers[process.argv[2]]))))
