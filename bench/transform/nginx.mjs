// nginx with sub_filter, as one process that can be watched.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { pinned, SERVER_CORE } from '../measure/cores.mjs'
import { freePort, listening } from '../measure/ports.mjs'
import { FROM, TO } from './settings.mjs'

const TICKS_A_SECOND = 100

const config = (port, upstream, folder) => `
daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log;
events {}
http {
  access_log off; client_body_temp_path ${folder}/1; proxy_temp_path ${folder}/2; fastcgi_temp_path ${folder}/3;
  uwsgi_temp_path ${folder}/4; scgi_temp_path ${folder}/5;
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass ${upstream}; proxy_http_version 1.1; proxy_buffering off;
      sub_filter '${FROM}' '${TO}'; sub_filter_once off;
    }
  }
}`

/** The same questions as to a ServerProcess of Node. */
export async function startSubFilter(upstream) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'bench-sub-filter-'))
  const port = await freePort()
  writeFileSync(path.join(folder, 'nginx.conf'), config(port, upstream, folder))
  const { file, args } = pinned(SERVER_CORE, 'nginx', [
    '-c',
    path.join(folder, 'nginx.conf'),
    '-e',
    path.join(folder, 'error.log'),
  ])
  const child = spawn(file, args, {
    stdio: 'inherit',
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` },
  })
  await listening(port)
  const proc = (name) => readFileSync(`/proc/${child.pid}/${name}`, 'utf8')
  return {
    port,
    async cpu() {
      const fields = proc('stat').split(') ')[1].split(' ')
      return ((Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND) * 1e6
    },
    resetPeak: () => writeFileSync(`/proc/${child.pid}/clear_refs`, '5'),
    peak: async () => Number(/^VmHWM:\s*(\d+) kB/m.exec(proc('status'))[1]) * 1024,
    async stop() {
      child.kill()
      await once(child, 'exit')
      rmSync(folder, { recursive: true })
    },
  }
}
