// nginx as an entry, one worker: with its defaults, which hold bodies back, and without buffering.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { freePort } from '../measure/ports.mjs'
import { ProgramProcess } from '../measure/program-process.mjs'
import { env } from '../upstream/nginx.mjs'

export function start(upstream, connections) {
  return startNginx(upstream, connections, '')
}

export function startUnbuffered(upstream, connections) {
  return startNginx(upstream, connections, 'proxy_buffering off; proxy_request_buffering off;')
}

async function startNginx(upstream, connections, buffering) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'bench-nginx-entry-'))
  const port = await freePort()
  const file = path.join(folder, 'nginx.conf')
  writeFileSync(file, configuration({ folder, port, upstream: new URL(upstream), connections, buffering }))
  const args = ['-p', folder, '-e', path.join(folder, 'error.log'), '-c', file]
  return ProgramProcess.start('nginx', args, {
    port,
    env,
    cleanUp: () => rmSync(folder, { recursive: true }),
  })
}

const configuration = ({ folder, port, upstream, connections, buffering }) => `
daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log;
events { worker_connections ${Math.max(4096, 2 * connections + 100)}; }
http {
  map $http_upgrade $upgrade_or_none { default upgrade; '' ''; }
  access_log off; client_body_temp_path ${folder}/1; proxy_temp_path ${folder}/2; fastcgi_temp_path ${folder}/3;
  uwsgi_temp_path ${folder}/4; scgi_temp_path ${folder}/5;
  client_max_body_size 0; keepalive_timeout 1h; keepalive_requests 1000000000;
  upstream behind {
    server ${upstream.host}; keepalive ${connections}; keepalive_timeout 1h; keepalive_requests 1000000000;
  }
  server {
    listen 127.0.0.1:${port} backlog=2048;
    location / {
      proxy_pass ${upstream.protocol}//behind; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $upgrade_or_none; proxy_read_timeout 1h; ${buffering}
    }
  }
}`
