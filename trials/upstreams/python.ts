import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { ask, keptConnections, type Question, statusOf } from './asking.js'
import { compareAll } from './compare.js'
import { freePort, printed, requireProgram, source, startServer, temporaryFolder } from './program.js'
import { type Proxy, proxyTo, takeCodes } from './proxy.js'
import type { Trial } from './trial.js'
import { drippedBy } from './uploads.js'

/** Python's http.server, as HTTP/1.0 (its default) and 1.1. */
export async function python(trial: Trial): Promise<void> {
  const program = requireProgram('python3', 'python3')
  trial.server = printed(program, '--version')
  const folder = temporaryFolder()
  mkdirSync(path.join(folder, 'folder'))
  writeFileSync(path.join(folder, 'file.txt'), 'a line\n'.repeat(50_000))
  for (const version of ['1.0', '1.1']) {
    const port = await freePort()
    await startServer(program, [source('servers/server.py'), String(port), version, folder], port)
    const direct = `http://127.0.0.1:${port}`
    const proxy = await proxyTo(direct)
    await compareAll({ trial, direct, proxy }, questionsOf(version))
    await many(trial, proxy, version)
  }
}

const questions: Readonly<Record<string, Question>> = {
  file: { path: '/file.txt' },
  HEAD: { path: '/file.txt', method: 'HEAD' },
  listing: { path: '/folder/' },
  'redirect of a folder': { path: '/folder' },
  'no such file': { path: '/none' },
  304: { path: '/file.txt', headers: { 'If-Modified-Since': new Date(Date.now() + 1e6).toUTCString() } },
  'no length': { path: '/until_close' },
  'keep-alive': { path: '/kept' },
  chunks: { path: '/chunked' },
  'cut off': { path: '/cut' },
  'no answer': { path: '/nothing' },
  'no head': { path: '/old' },
  POST: { method: 'POST', body: 'a=b' },
  'POST, 5 MB': { method: 'POST', body: Buffer.alloc(5_000_000, 'a') },
  'POST, not read': { path: '/unread', method: 'POST', body: 'a=b' },
  'unknown method': { method: 'PATCH', body: 'a=b' },
  'method with a body that is not read, 5 MB': { method: 'PUT', body: Buffer.alloc(5_000_000) },
}

/** Of HTTP/1.0, Python reads no chunks. */
function questionsOf(version: string): Record<string, Question> {
  const chunks = { 'POST in chunks': { method: 'POST', body: drippedBy(5, 1_000_000) } }
  const own: Record<string, Question> = version === '1.0' ? {} : chunks
  return Object.fromEntries(
    Object.entries({ ...questions, ...own }).map(([name, it]) => [`${version}: ${name}`, it]),
  )
}

/** Of HTTP/1.0, each answer ends its connection. */
async function many(trial: Trial, proxy: Proxy, version: string): Promise<void> {
  takeCodes(proxy)
  const agent = keptConnections(8)
  const asked = Array.from({ length: 300 }, (_, i) =>
    ask(proxy.url, { path: i % 2 ? '/file.txt' : '/kept', agent }),
  )
  const lost = (await Promise.all(asked)).filter((answer) => statusOf(answer) !== 200)
  agent.destroy()
  trial.holds(`${version}: 300 × GET`, lost.length === 0, () => JSON.stringify([lost, takeCodes(proxy)]))
}
