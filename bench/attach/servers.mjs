// The servers of bench/attach.mjs: the same application, with WebSockets in the ways that users have. `createServer(upstream)` of each.
import { createServer } from 'node:http'
import express from 'express'
import httpProxy from 'http-proxy'
import { WebSocketServer } from 'ws'
import { attach } from '../../dist/esm/attach.js'
import { passthroughProxy } from '../../dist/esm/passthrough-proxy.js'

/** Those that have the WebSockets themselves, by their titles; the first is what the others are held against. */
export const own = {
  "an 'upgrade' listener of its own": () => listening(createServer(application())),
  'the same, again': () => listening(createServer(application())),
  "attach, and an 'upgrade' listener": () => listening(attached(application())),
  'ws alone': () => {
    const server = createServer(application())
    new WebSocketServer({ server, perMessageDeflate: false }).on('connection', echo)
    return server
  },
  'express-ws': expressWs,
}

/** Those that pass WebSockets on. */
export const proxies = {
  "http-proxy, and an 'upgrade' listener": (upstream) => {
    const proxy = httpProxy.createProxyServer({ target: upstream })
    proxy.on('error', () => {})
    const server = createServer(application())
    return server.on('upgrade', (req, socket, head) => proxy.ws(req, socket, head))
  },
  'attach, passthroughProxy': (upstream) => attached(application().use(passthroughProxy(upstream))),
}

function application() {
  return express().get('/', (_req, res) => res.end('done'))
}

function attached(app) {
  const server = createServer(app)
  attach(server, app)
  return server
}

/** Takes upgrades to WebSockets in an 'upgrade' listener, as the page of ws says. */
function listening(server) {
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false })
  sockets.on('connection', echo)
  return server.on('upgrade', (req, socket, head) =>
    sockets.handleUpgrade(req, socket, head, (client) => sockets.emit('connection', client, req)),
  )
}

/** It brings a ws of its own, an older one. */
async function expressWs() {
  const { default: addWebSockets } = await import('express-ws')
  const app = application()
  const server = createServer(app)
  addWebSockets(app, server, { wsOptions: { perMessageDeflate: false } })
  app.ws('/socket', (socket) => {
    socket.on('message', (message) => socket.send(message))
    socket.on('error', () => {})
  })
  return server
}

function echo(socket) {
  socket.on('message', (message) => socket.send(message, { binary: false }))
  socket.on('error', () => {})
}
