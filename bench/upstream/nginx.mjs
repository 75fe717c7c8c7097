// nginx as an upstream, with nginx.conf.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { freePort, listening } from '../measure/ports.mjs'
import { ITEMS, SIZES, bytesOf } from './answers.mjs'

// Debian installs it where only root's PATH leads.
export const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/usr/local/sbin` }

/** Its version, or undefined where there is none. */
export function findNginx() {
  const { status, stderr } = spawnSync('nginx', ['-v'], { encoding: 'utf8', env })
  return status === 0 ? /nginx\/([\d.]+)/.exec(stderr)[1] : undefined
}

/** With a certificate it listens on a second port too: `secure.url`. */
export async function startNginx(certificate) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'bench-nginx-'))
  const [port, securePort] = [await freePort(), await freePort()]
  const file = path.join(folder, 'nginx.conf')
  writeFileSync(file, configuration(port, securePort, certificate))
  writeFiles(path.join(folder, 'files'))
  const options = ['-p', folder, '-e', path.join(folder, 'error.log'), '-c', file]
  const child = spawn('nginx', options, { env, stdio: 'inherit' })
  await listening(port)
  const secure = certificate && { url: `https://127.0.0.1:${securePort}` }
  return { port, url: `http://127.0.0.1:${port}`, secure, stop: () => stop(child, folder) }
}

function configuration(port, securePort, certificate) {
  const text = readFileSync(new URL('nginx.conf', import.meta.url), 'utf8').replaceAll(':8080', `:${port}`)
  if (!certificate) return text
  const { file, key } = certificate
  const lines = `listen 127.0.0.1:${securePort} ssl backlog=2048; ssl_certificate ${file}; ssl_certificate_key ${key};`
  return text.replace('# over TLS', lines)
}

function writeFiles(folder) {
  mkdirSync(path.join(folder, 'bytes'), { recursive: true })
  writeFileSync(path.join(folder, 'items'), ITEMS)
  for (const [name, size] of Object.entries(SIZES)) {
    writeFileSync(path.join(folder, 'bytes', name), bytesOf(size))
  }
}

async function stop(child, folder) {
  child.kill()
  await once(child, 'exit')
  rmSync(folder, { recursive: true })
}
