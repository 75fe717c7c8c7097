// The clients of bench/delivery.mjs. An `upload(target, { chunked, body, file })` tells its outcome (the status of a
// complete answer, or what went wrong), after how many milliseconds, and how much of the body it wrote, where it knows.
import { execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { endless, writeFirst } from './raw-clients.mjs'
import { PATIENCE } from './settings.mjs'

const run = promisify(execFile)

/** The clients this machine can run, a sentence for each of the others, and `stop()`. */
export async function findClients() {
  const clients = [
    { title: 'writes all, then reads', upload: writeFirst, overTls: true },
    { title: 'endless sender', upload: endless, overTls: true, onlyChunked: true },
    { title: `fetch of Node ${process.versions.node}`, upload: fetchUpload },
  ]
  const missing = []
  const curl = spawnSync('curl', ['--version'], { encoding: 'utf8' })
  if (curl.status === 0) clients.push({ title: `curl ${curl.stdout.split(' ')[1]}`, upload: curlUpload })
  else missing.push('curl is left out: it is not on this machine.')
  const python = await startPython()
  if (python) clients.push(python.client)
  else missing.push('Python requests is left out: it is not on this machine.')
  return { clients, missing, stop: () => python?.stop() }
}

async function fetchUpload({ port, contentType }, { chunked, body }) {
  const started = performance.now()
  const sent = { bytes: 0 }
  let outcome
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/`, {
      method: 'POST',
      headers: { 'content-type': contentType },
      body: chunked ? pieces(body, sent) : body,
      duplex: 'half',
      signal: AbortSignal.timeout(PATIENCE),
    })
    await answer.arrayBuffer()
    outcome = answer.status
  } catch (error) {
    outcome = `${error.message}: ${error.cause?.code ?? error.cause?.message}`
  }
  return { outcome, ms: performance.now() - started, written: chunked ? sent.bytes : undefined }
}

async function* pieces(body, sent) {
  for (let at = 0; at < body.length; at += 65_536) {
    const piece = body.subarray(at, at + 65_536)
    sent.bytes += piece.length
    yield piece
  }
}

async function curlUpload({ port, contentType }, { chunked, file }) {
  const framing = chunked ? ['-H', 'Transfer-Encoding: chunked'] : []
  const quiet = ['-sS', '-o', '/dev/null', '-w', '%{http_code} %{time_total} %{size_upload}']
  const upload = ['-X', 'POST', '-H', `Content-Type: ${contentType}`, '--data-binary', `@${file}`]
  const patience = ['--max-time', String(PATIENCE / 1000)]
  const options = [...quiet, ...patience, ...upload, ...framing, `http://127.0.0.1:${port}/`]
  const { stdout, failure } = await run('curl', options).catch((error) => ({
    stdout: error.stdout,
    failure: error.stderr.trim(),
  }))
  const [status, seconds, written] = stdout.split(' ').map(Number)
  return { outcome: failure ?? status, ms: seconds * 1000, written }
}

/** One process for all uploads: its start would take longer than they do. */
async function startPython() {
  const script = fileURLToPath(new URL('upload.py', import.meta.url))
  if (spawnSync('/usr/bin/env', ['python3', '-c', 'import requests']).status !== 0) return undefined
  const child = spawn('python3', [script], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })
  const [version] = await once(lines, 'line')
  const upload = async ({ port, contentType }, { chunked, file }) => {
    const answered = once(lines, 'line')
    const order = { url: `http://127.0.0.1:${port}/`, file, chunked, contentType, patience: PATIENCE / 1000 }
    child.stdin.write(`${JSON.stringify(order)}\n`)
    return JSON.parse((await answered)[0])
  }
  return { client: { title: `requests ${version} of Python`, upload }, stop: () => child.kill() }
}
