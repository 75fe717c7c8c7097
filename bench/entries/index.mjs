// The proxies that are compared. Each has a file here that makes its server.
import { existsSync, readFileSync } from 'node:fs'
import { ServerProcess } from '../measure/server-process.mjs'

const entries = [
  { name: 'floor', title: 'Express alone', host: 'floor', packages: ['express'] },
  { name: 'sluiceway', title: 'sluiceway', host: 'Express', packages: [] },
  { name: 'http-proxy', title: 'http-proxy', host: 'Express', packages: ['http-proxy'] },
  { name: 'httpxy', title: 'httpxy', host: 'Express', packages: ['httpxy'] },
  {
    name: 'http-proxy-middleware',
    title: 'http-proxy-middleware',
    host: 'Express',
    packages: ['http-proxy-middleware'],
  },
  {
    name: 'express-http-proxy',
    title: 'express-http-proxy',
    host: 'Express',
    packages: ['express-http-proxy'],
  },
  { name: 'fast-proxy', title: 'fast-proxy', host: 'Express', packages: ['fast-proxy'] },
  { name: 'fast-proxy-undici', title: 'fast-proxy on undici', host: 'Express', packages: ['fast-proxy'] },
  {
    name: 'fastify-http-proxy',
    title: '@fastify/http-proxy',
    host: 'fastify',
    packages: ['@fastify/http-proxy', 'fastify'],
  },
]

/** Those that are installed and asked for, each with its versions, and a sentence for each that is missing. */
export function findEntries(names = entries.map(({ name }) => name)) {
  const asked = entries.filter(({ name }) => names.includes(name))
  return {
    found: asked
      .filter((entry) => !isMissing(entry))
      .map(({ packages, ...entry }) => ({
        ...entry,
        versions: Object.fromEntries(packages.map((name) => [name, versionOf(name)])),
      })),
    missing: asked.filter(isMissing).map(({ title }) => `${title} is left out: it is not installed.`),
  }
}

function isMissing({ packages }) {
  return packages.some((name) => !folderOf(name))
}

/** Starts the process of an entry in front of the upstream at `url`, with so many connections to it at most. */
export function startEntry(name, url, { connections = 128, ...options } = {}) {
  return ServerProcess.start(new URL('serve.mjs', import.meta.url), [name, url, String(connections)], options)
}

/** The peers are installed in bench/, some of them beside the package too. */
function folderOf(name) {
  return ['../node_modules', '../../node_modules']
    .map((folder) => new URL(`${folder}/${name}/package.json`, import.meta.url))
    .find((file) => existsSync(file))
}

export function versionOf(name) {
  return JSON.parse(readFileSync(folderOf(name), 'utf8')).version
}
