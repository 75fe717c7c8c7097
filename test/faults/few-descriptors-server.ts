// A server under `ulimit -n`, which takes all descriptors, or frees them, when its parent asks.
// Called with the name of a host, the upstream's URL, and a directory for bodies.
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { autoFlush, bodyCache, passthroughProxy, pipeChild } from 'sluiceway'
import { type Handler, hosts } from '../support/express/hosts.js'
import { openDescriptors } from '../support/process/open-resources.js'

const [hostName, upstreamUrl = '', directory = ''] = process.argv.slice(2)
const { mount } = hosts.find(({ name }) => name === hostName)!
const proxy = passthroughProxy(upstreamUrl)
const taken: number[] = []

const routes: Readonly<Record<string, Handler>> = {
  '/read': (req, res, next) => {
    req.bodyCache.buffer().then((body) => res.end(body), next)
  },
  '/proxied': (req, res, next) => proxy(req, res, next),
  '/child': (_req, res, next) => {
    pipeChild(res, spawn('echo', ['said'], { detached: true })).catch(next)
  },
}

const server = createServer(
  mount(autoFlush(), bodyCache({ memory: 0, directory, parseLimit: Infinity }), (req, res, next) =>
    routes[req.url ?? '']!(req, res, next),
  ),
)
server.listen(0, '127.0.0.1', () => process.send!((server.address() as AddressInfo).port))

function take(): void {
  try {
    for (;;) taken.push(fs.openSync('/dev/null', 'r'))
  } catch {
    // All are taken now.
  }
}

process.on('message', (wish: 'take' | 'give back' | 'close' | 'count') => {
  if (wish === 'take') take()
  else if (wish === 'close') process.exit()
  else for (const descriptor of taken.splice(0)) fs.closeSync(descriptor)
  process.send!(wish === 'count' ? openDescriptors() : taken.length)
})
