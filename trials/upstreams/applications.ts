import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import path from 'node:path'
import { listen } from '../../test/support/servers/servers.js'
import { applicationQuestions, withHost } from './application-questions.js'
import type { Question } from './asking.js'
import { compareAll } from './compare.js'
import { echo } from './echo.js'
import { freePort, printed, requireProgram, source, startServer, temporaryFolder } from './program.js'
import { type Proxy, proxyTo } from './proxy.js'
import { spacedRequests } from './spaced.js'
import type { Trial } from './trial.js'

/** gunicorn, with workers that end each connection, and with threads that keep it for 2 s. */
export async function gunicorn(trial: Trial): Promise<void> {
  const program = requireProgram('gunicorn', 'gunicorn')
  trial.server = printed(program, '--version')
  const folder = path.dirname(source('servers/application.py'))
  for (const kind of [
    ['-w', '2'],
    ['--threads', '8', '--keep-alive', '2'],
  ]) {
    const port = await freePort()
    const args = [
      ...kind,
      '-b',
      `127.0.0.1:${port}`,
      '--chdir',
      folder,
      '--log-level',
      'critical',
      'application',
    ]
    await startServer(program, args, port, { env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' } })
    const proxy = await compared(trial, port)
    if (kind.length > 2) await spacedRequests(trial, proxy, 2000)
  }
}

/** PHP's own server: it ends each connection, and with it the body. */
export async function php(trial: Trial): Promise<void> {
  const program = requireProgram('php', 'php-cli')
  trial.server = printed(program, '-v').split(' (')[0]!
  const [port, root] = [await freePort(), temporaryFolder()]
  writeFileSync(path.join(root, 'file.txt'), 'a file')
  const env = { ...process.env, PHP_CLI_SERVER_WORKERS: '4' }
  const args = ['-q', '-S', `127.0.0.1:${port}`, '-t', root, source('servers/router.php')]
  await startServer(program, args, port, { env })
  // It never sends the 100 that a client waits for.
  const { 'POST with Expect': _, ...questions } = applicationQuestions
  await compared(trial, port, questions)
}

async function compared(trial: Trial, port: number, questions = applicationQuestions): Promise<Proxy> {
  const direct = `http://127.0.0.1:${port}`
  const proxy = await proxyTo(direct, { preserveHost: true })
  await compareAll({ trial, direct, proxy }, questions)
  return proxy
}

/** HAProxy, which answers by itself when its own server does not. */
export async function haproxy(trial: Trial): Promise<void> {
  const program = requireProgram('haproxy', 'haproxy')
  trial.server = printed(program, '-v').split('\n')[0]!
  const server = await listen(
    createServer((req, res) => {
      res.sendDate = false
      if (req.url !== '/slow') void echo(req, res)
    }),
  )
  const [port, file] = [await freePort(), path.join(temporaryFolder(), 'haproxy.cfg')]
  writeFileSync(file, configuration(port, server.port))
  await startServer(program, ['-db', '-f', file], port)
  const direct = `http://127.0.0.1:${port}`
  const proxy = await proxyTo(direct, { preserveHost: true, forwarded: false })
  await compareAll({ trial, direct, proxy }, { ...applicationQuestions, ...withHost(ofHaproxy) })
  // It says nothing of its limit, so that a POST may be lost.
  await spacedRequests(trial, proxy, 1000)
}

const ofHaproxy: Readonly<Record<string, Question>> = {
  denied: { path: '/denied' },
  'denied, while 20 MB come': { ...applicationQuestions['POST that is not read, 20 MB'], path: '/denied' },
  'no server': { path: '/none' },
  'too slow a server': { path: '/slow' },
  'connection closed without an answer': { path: '/dropped' },
  'redirect of its own': { path: '/https' },
}

function configuration(port: number, server: number): string {
  return `
defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 1s
  timeout http-keep-alive 1s
frontend front
  bind 127.0.0.1:${port}
  http-request deny if { path /denied }
  http-request reject if { path /dropped }
  http-request redirect scheme https if { path /https }
  use_backend none if { path /none }
  default_backend node
backend node
  server one 127.0.0.1:${server}
backend none
  server none 127.0.0.1:1
`
}
