// A certificate for 127.0.0.1, and for the Host of the requests, which some proxies name to the upstream. It lasts as long as the run.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'

/** `{ file, key }`, or undefined without openssl. */
export function makeCertificate() {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'bench-certificate-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  const [file, key] = ['certificate.pem', 'key.pem'].map((name) => path.join(folder, name))
  const names = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:bench.example']
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  const { status } = spawnSync('openssl', ['req', '-x509', ...kind, ...names, '-keyout', key, '-out', file])
  return status === 0 ? { file, key } : undefined
}
