// One of the Node servers of bench/delivery.mjs, in a process of its own: `fork(file, [name])`. It reports its port,
// then, for each message, how many bytes it has read from all its sockets so far.
import { readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import { createAdaptorServer } from '@hono/node-server'
import express from 'express'
import fastify from 'fastify'
import { Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import multer from 'multer'
import { maxBytes } from '../../dist/esm/max-bytes.js'
import { LIMIT } from './settings.mjs'

const servers = {
  'express.json': () => http.createServer(expressApp(express.json({ limit: LIMIT }))),
  multer: () =>
    http.createServer(expressApp(multer({ limits: { fileSize: LIMIT } }).any()).use(fileTooLarge)),
  fastify: fastifyServer,
  hono: honoServer,
  maxBytes: () => http.createServer(limitedApp()),
  'maxBytes over TLS': () => {
    const folder = new URL('../../test/support/servers/tls/', import.meta.url)
    const [key, cert] = ['key.pem', 'certificate.pem'].map((name) => readFileSync(new URL(name, folder)))
    return https.createServer({ key, cert }, limitedApp())
  },
}

function expressApp(...middlewares) {
  return express().post('/', ...middlewares, (_req, res) => res.end('taken'))
}

function limitedApp() {
  return expressApp(maxBytes(LIMIT), express.json({ limit: LIMIT }))
}

/** Multer leaves the status to the application. */
function fileTooLarge(error, _req, res, next) {
  if (error.code === 'LIMIT_FILE_SIZE') res.status(413).send(error.message)
  else next(error)
}

async function fastifyServer() {
  const app = fastify({ bodyLimit: LIMIT })
  app.post('/', (_request, reply) => reply.send('taken'))
  await app.ready()
  return app.server
}

function honoServer() {
  const app = new Hono()
  app.post('/', bodyLimit({ maxSize: LIMIT }), async (context) => {
    await context.req.arrayBuffer()
    return context.text('taken')
  })
  return createAdaptorServer({ fetch: app.fetch })
}

// Express' final handler logs each 413 with its stack.
console.error = () => {}

const server = await servers[process.argv[2]]()
const open = new Set()
let bytesOfClosed = 0
server.on(server instanceof https.Server ? 'secureConnection' : 'connection', (socket) => {
  open.add(socket)
  socket.once('close', () => {
    open.delete(socket)
    bytesOfClosed += socket.bytesRead
  })
})
server.listen(0, '127.0.0.1', () => process.send(server.address().port))
process.on('message', () => {
  process.send([...open].reduce((sum, socket) => sum + socket.bytesRead, bytesOfClosed))
})
process.on('disconnect', () => process.exit())
