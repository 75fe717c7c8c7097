// Those of the entries that can carry WebSockets, each as its page says. `createServer(upstream)` of each.
import { createServer } from 'node:http'
import httpProxy from '@fastify/http-proxy'
import express from 'express'
import fastify from 'fastify'
import oldProxy from 'http-proxy'
import { createProxyServer } from 'http-proxy-3'
import { createProxyMiddleware } from 'http-proxy-middleware'
import http2Proxy from 'http2-proxy'
import { createProxyServer as createHttpxy } from 'httpxy'
import { attach } from '../../dist/esm/attach.js'
import { passthroughProxy } from '../../dist/esm/passthrough-proxy.js'

export const servers = {
  sluiceway(upstream) {
    const app = express().use(passthroughProxy(upstream))
    const server = createServer(app)
    attach(server, app)
    return server
  },
  'http-proxy': (upstream) => upgrading(oldProxy.createProxyServer({ target: upstream })),
  'http-proxy-3': (upstream) => upgrading(createProxyServer({ target: upstream })),
  'http2-proxy'(upstream) {
    const { hostname, port } = new URL(upstream)
    const ws = (req, socket, head) => void http2Proxy.ws(req, socket, head, { hostname, port }, ended(socket))
    return createServer(express()).on('upgrade', ws)
  },
  httpxy(upstream) {
    const proxy = createHttpxy({ target: upstream })
    const ws = (req, socket, head) => void proxy.ws(req, socket, {}, head).catch(ended(socket))
    return createServer(express()).on('upgrade', ws)
  },
  'http-proxy-middleware'(upstream) {
    const middleware = createProxyMiddleware({ target: upstream, ws: true })
    return createServer(express().use(middleware)).on('upgrade', middleware.upgrade)
  },
  async 'fastify-http-proxy'(upstream) {
    const app = fastify()
    await app.register(httpProxy, { upstream, websocket: true })
    await app.ready()
    return app.server
  },
}

function upgrading(proxy) {
  proxy.on('error', () => {})
  return createServer(express()).on('upgrade', (req, socket, head) => proxy.ws(req, socket, head))
}

function ended(socket) {
  return (error) => void (error && socket.destroy())
}
