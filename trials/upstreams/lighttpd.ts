import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { cgiQuestions } from './cgi-questions.js'
import { compareAll } from './compare.js'
import { freePort, printed, requireProgram, startServer, temporaryFolder } from './program.js'
import { proxyTo } from './proxy.js'
import { makeSite } from './site.js'
import { spacedRequests } from './spaced.js'
import type { Trial } from './trial.js'

/** lighttpd: it says nothing of how long it keeps a connection. */
export async function lighttpd(trial: Trial): Promise<void> {
  const program = requireProgram('lighttpd', 'lighttpd')
  trial.server = printed(program, '-v').split('\n')[0]!
  const [port, folder] = [await freePort(), temporaryFolder()]
  const file = path.join(folder, 'lighttpd.conf')
  writeFileSync(file, configuration(port))
  await startServer(program, ['-D', '-f', file], port)
  const direct = `http://127.0.0.1:${port}`
  const proxy = await proxyTo(direct, { preserveHost: true })
  await compareAll({ trial, direct, proxy }, cgiQuestions)
  await spacedRequests(trial, proxy, 2000, { path: '/file.txt' })
  await spacedRequests(trial, proxy, 3000, { path: '/file.txt' })
}

function configuration(port: number): string {
  const site = makeSite()
  return `
server.modules = ("mod_cgi", "mod_deflate")
server.document-root = "${site}"
server.bind = "127.0.0.1"
server.port = ${port}
server.max-keep-alive-requests = 50
server.max-keep-alive-idle = 2
server.max-request-size = 10000
server.stream-response-body = 1
cgi.assign = (".cgi" => "")
deflate.mimetypes = ("text/plain")
deflate.allowed-encodings = ("gzip")
mimetype.assign = (".txt" => "text/plain")
`
}
