// The Express application that an entry is mounted in.
import http, { createServer } from 'node:http'
import https from 'node:https'
import express from 'express'

/** A server of an application whose only middleware `mount(app)` adds. */
export function expressServer(mount) {
  const app = express()
  mount(app)
  return createServer(app)
}

/** Connections to the upstream that stay open: without it the peers on node:http make one for each request. */
export function keepAliveAgent(connections, upstream = 'http:') {
  const { Agent } = upstream.startsWith('https:') ? https : http
  return new Agent({ keepAlive: true, maxSockets: connections })
}
