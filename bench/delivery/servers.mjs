// The servers of bench/delivery.mjs. Each `start()` gives its port, `bytesRead()` where the server can tell how much it
// has read, and `stop()`.
import { execFileSync, fork, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { freePort, listening } from '../measure/ports.mjs'
import { LIMIT, types } from './settings.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
const packageVersion = (name) =>
  JSON.parse(readFileSync(path.join(here, '../node_modules', name, 'package.json'), 'utf8')).version

/** The servers this machine can run, and a sentence for each of the others. */
export function findServers() {
  const express = `Express ${packageVersion('express')}`
  const servers = [
    node('express.json', `${express}, \`express.json({ limit })\``),
    node('multer', `${express}, multer ${packageVersion('multer')} \`fileSize\``, { type: types.multipart }),
    node('fastify', `fastify ${packageVersion('fastify')} \`bodyLimit\``),
    node(
      'hono',
      `hono ${packageVersion('hono')} on node-server ${packageVersion('@hono/node-server')} \`bodyLimit\``,
    ),
  ]
  const missing = []
  const go = spawnSync('go', ['version'], { encoding: 'utf8' })
  if (go.status === 0) {
    const title = `Go ${/go([\d.]+)/.exec(go.stdout)[1]} \`http.MaxBytesReader\``
    servers.push({ title, type: types.json, start: startGo })
  } else {
    missing.push('Go net/http is left out: no `go` on this machine.')
  }
  const nginx = spawnSync('nginx', ['-v'], { encoding: 'utf8', env: withSbin() })
  if (nginx.status === 0) {
    const title = `nginx ${/nginx\/([\d.]+)/.exec(nginx.stderr)[1]} \`client_max_body_size\``
    servers.push({ title, type: types.json, start: startNginx })
  } else {
    missing.push('nginx is left out: no `nginx` on this machine.')
  }
  servers.push(
    node('maxBytes', `${express}, **maxBytes**, \`express.json\``),
    node('maxBytes over TLS', `${express}, **maxBytes**, \`express.json\`, over TLS`, { secure: true }),
  )
  return { servers, missing }
}

const withSbin = () => ({ ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/usr/local/sbin` })

function node(name, title, { type = types.json, secure = false } = {}) {
  return { title, type, secure, start: () => startNode(name) }
}

async function startNode(name) {
  const child = fork(path.join(here, 'node-server.mjs'), [name], {
    env: { ...process.env, NODE_ENV: 'production' },
  })
  const [port] = await once(child, 'message')
  const bytesRead = async () => {
    const answered = once(child, 'message')
    child.send('bytes')
    return (await answered)[0]
  }
  return { port, bytesRead, stop: () => ended(child) }
}

async function startGo() {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'delivery-go-'))
  const program = path.join(folder, 'server')
  execFileSync('go', ['build', '-o', program, path.join(here, 'server.go')])
  const child = spawn(program, [String(LIMIT)], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })
  const [port] = await once(lines, 'line')
  const bytesRead = async () => {
    const answered = once(lines, 'line')
    child.stdin.write('\n')
    return Number((await answered)[0])
  }
  return { port: Number(port), bytesRead, stop: () => ended(child, folder) }
}

/** It hands what is within the limit to a second server of its own, as a proxy in front of an application does. */
async function startNginx() {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'delivery-nginx-'))
  const port = await freePort()
  writeFileSync(path.join(folder, 'nginx.conf'), nginxConfiguration(folder, port))
  const options = ['-p', folder, '-e', path.join(folder, 'error.log'), '-c', path.join(folder, 'nginx.conf')]
  const child = spawn('nginx', options, { env: withSbin(), stdio: 'inherit' })
  await listening(port)
  return { port, bytesRead: undefined, stop: () => ended(child, folder) }
}

async function ended(child, folder) {
  child.kill()
  await once(child, 'exit')
  if (folder) rmSync(folder, { recursive: true })
}

function nginxConfiguration(folder, port) {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  return `
daemon off;
master_process off;
pid ${folder}/nginx.pid;
events {}
http {
  access_log off;
  ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')}
  server {
    listen 127.0.0.1:${port};
    client_max_body_size ${LIMIT};
    location / { proxy_pass http://unix:${folder}/behind.sock; }
  }
  server {
    listen unix:${folder}/behind.sock;
    location / { return 200 "taken"; }
  }
}`
}
