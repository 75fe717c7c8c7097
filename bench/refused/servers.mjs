// The servers of bench/refused-uploads.mjs: `{ name, title, start({ file }) }` each, where `file` is a Node, and a sentence
// for each that is missing. `isPatient` is one that differs from another for slow clients only.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { versionOf } from '../entries/index.mjs'
import { freePort } from '../measure/ports.mjs'
import { ProgramProcess } from '../measure/program-process.mjs'
import { ServerProcess } from '../measure/server-process.mjs'
import { env, findNginx } from '../upstream/nginx.mjs'
import { LIMIT } from './settings.mjs'

export function findServers() {
  const express = `Express ${versionOf('express')}`
  const servers = [
    onNode('max-bytes', `${express}, **maxBytes**, \`express.json\``),
    { ...onNode('patient-max-bytes', `${express}, maxBytes with \`lingerMs: 30_000\``), isPatient: true },
    onNode('express-json', `${express}, \`express.json({ limit })\``),
    onNode('raw-body', `${express} with raw-body ${versionOf('raw-body')} in a handler`),
  ]
  const nginx = findNginx()
  if (nginx === undefined) return { servers, missing: ['nginx is left out: it is not installed.'] }
  servers.push({ name: 'nginx', title: `nginx ${nginx} \`client_max_body_size\``, start: startNginx })
  return { servers, missing: [] }
}

function onNode(name, title) {
  const module = new URL('serve.mjs', import.meta.url)
  return { name, title, start: ({ file }) => ServerProcess.start(module, [name], { node: file }) }
}

async function startNginx() {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'bench-refused-'))
  const port = await freePort()
  const file = path.join(folder, 'nginx.conf')
  writeFileSync(file, configuration(folder, port))
  const args = ['-p', folder, '-e', path.join(folder, 'error.log'), '-c', file]
  return ProgramProcess.start('nginx', args, {
    port,
    env,
    cleanUp: () => rmSync(folder, { recursive: true }),
  })
}

/** What is within the limit goes on to a second server, as from a proxy in front of an application. */
const configuration = (folder, port) => `
daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log crit;
events { worker_connections 4096; }
http {
  access_log off; client_body_temp_path ${folder}/1; proxy_temp_path ${folder}/2; fastcgi_temp_path ${folder}/3;
  uwsgi_temp_path ${folder}/4; scgi_temp_path ${folder}/5;
  server {
    listen 127.0.0.1:${port} backlog=2048; client_max_body_size ${LIMIT};
    location / { proxy_pass http://unix:${folder}/behind.sock; }
  }
  server { listen unix:${folder}/behind.sock; location / { return 200 "done"; } }
}`
