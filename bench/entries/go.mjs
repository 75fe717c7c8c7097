// Go's httputil.ReverseProxy as an entry: built once a run, on one core as the others are.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort } from '../measure/ports.mjs'
import { ProgramProcess } from '../measure/program-process.mjs'

let built

/** The version, or undefined where there is no Go. */
export function findGo() {
  const { status, stdout } = spawnSync('go', ['version'], { encoding: 'utf8' })
  return status === 0 ? /go([\d.]+)/.exec(stdout)[1] : undefined
}

export async function start(upstream, connections, { env } = {}) {
  built ??= build()
  const port = await freePort()
  const args = [String(port), upstream, String(connections)]
  return ProgramProcess.start(built, args, { port, env: { ...env, GOMAXPROCS: '1' } })
}

function build() {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'bench-go-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  const program = path.join(folder, 'reverse-proxy')
  const source = fileURLToPath(new URL('reverse-proxy.go', import.meta.url))
  execFileSync('go', ['build', '-o', program, source], { stdio: ['ignore', 'inherit', 'inherit'] })
  return program
}
