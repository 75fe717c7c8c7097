// The proxies that are compared. Those on Node have a file here that makes their server, the others one that starts them.
import { existsSync, readFileSync } from 'node:fs'
import { ServerProcess } from '../measure/server-process.mjs'
import { findNginx } from '../upstream/nginx.mjs'
import * as go from './go.mjs'
import * as nginx from './nginx.mjs'

const inExpress = (name, title = name, packages = [name]) => ({ name, title, host: 'Express', packages })
const program = (name, title, version, start) => ({ name, title, host: 'none', version, start })

const entries = [
  { name: 'floor', title: 'Express alone', host: 'floor', packages: ['express'] },
  inExpress('sluiceway', 'sluiceway', []),
  inExpress('http-proxy'),
  inExpress('http-proxy-3'),
  inExpress('http2-proxy'),
  inExpress('httpxy'),
  inExpress('http-proxy-middleware'),
  inExpress('express-http-proxy'),
  inExpress('fast-proxy'),
  inExpress('fast-proxy-undici', 'fast-proxy on undici', ['fast-proxy']),
  {
    name: 'fastify-http-proxy',
    title: '@fastify/http-proxy',
    host: 'fastify',
    packages: ['@fastify/http-proxy', 'fastify'],
  },
  { name: 'sluiceway-bare', title: 'sluiceway without Express', host: 'node:http', packages: [] },
  program('go', "Go's ReverseProxy", go.findGo, go.start),
  program('nginx', 'nginx', findNginx, nginx.start),
  program('nginx-unbuffered', 'nginx without buffering', findNginx, nginx.startUnbuffered),
]

/** Those that are installed and asked for, each with its versions, and a sentence for each that is missing. */
export function findEntries(names = entries.map(({ name }) => name)) {
  const all = entries
    .filter(({ name }) => names.includes(name))
    .map((entry) => ({ entry, versions: versionsOf(entry) }))
  return {
    found: all
      .filter(isThere)
      .map(({ entry: { name, title, host }, versions }) => ({ name, title, host, versions })),
    missing: all
      .filter((each) => !isThere(each))
      .map(({ entry }) => `${entry.title} is left out: it is not installed.`),
  }
}

function isThere({ versions }) {
  return Object.values(versions).every(Boolean)
}

/** Undefined for what is missing. */
function versionsOf({ name, packages, version }) {
  if (version) return { [name.split('-')[0]]: version() }
  return Object.fromEntries(packages.map((each) => [each, versionOf(each)]))
}

/** True for those that run on a Node, once for each version. */
export function isOnNode({ host }) {
  return host !== 'none'
}

/** Starts the process of an entry in front of the upstream at `url`, with so many connections to it at most. */
export function startEntry(name, url, { connections = 128, ...options } = {}) {
  const { start } = entries.find((entry) => entry.name === name)
  if (start) return start(url, connections, options)
  return ServerProcess.start(new URL('serve.mjs', import.meta.url), [name, url, String(connections)], options)
}

/** The peers are installed in bench/, some of them beside the package too. */
function folderOf(name) {
  return ['../node_modules', '../../node_modules']
    .map((folder) => new URL(`${folder}/${name}/package.json`, import.meta.url))
    .find((file) => existsSync(file))
}

export function versionOf(name) {
  const file = folderOf(name)
  return file && JSON.parse(readFileSync(file, 'utf8')).version
}
