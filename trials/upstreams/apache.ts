import { chmodSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { ask, keptConnections, statusOf } from './asking.js'
import { cgiQuestions } from './cgi-questions.js'
import { compareAll } from './compare.js'
import { freePort, printed, requireProgram, startServer, temporaryFolder } from './program.js'
import { proxyTo, takeCodes } from './proxy.js'
import { makeSite } from './site.js'
import { spacedRequests } from './spaced.js'
import type { Trial } from './trial.js'

/** Apache's httpd: it says how long it keeps a connection, and for how many requests. */
export async function apache(trial: Trial): Promise<void> {
  const program = requireProgram('apache2', 'apache2')
  trial.server = printed(program, '-v').split('\n')[0]!
  for (const [keptMs, most] of [
    [1000, 5],
    [2000, 100],
  ] as const) {
    const [port, folder] = [await freePort(), temporaryFolder()]
    // The daemon of the CGI programs listens there, and its clients are www-data.
    chmodSync(folder, 0o755)
    const file = path.join(folder, 'apache.conf')
    writeFileSync(file, configuration(folder, port, { keptMs, most }))
    await startServer(program, ['-f', file, '-DFOREGROUND'], port)
    const direct = `http://127.0.0.1:${port}`
    const proxy = await proxyTo(direct, { preserveHost: true })
    if (most === 5) await compareAll({ trial, direct, proxy }, cgiQuestions)
    await many(trial, proxy, most)
    for (const method of ['GET', 'POST']) {
      const path_ = method === 'GET' ? '/file.txt' : '/cgi/answer.cgi/x'
      await spacedRequests(trial, proxy, keptMs, { method, path: path_ })
    }
  }
}

const modules = [
  'mpm_event',
  'authz_core',
  'mime',
  'dir',
  'alias',
  'deflate',
  'filter',
  'cgid',
  'autoindex',
].map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`)

interface Keeping {
  readonly keptMs: number
  readonly most: number
}

function configuration(folder: string, port: number, { keptMs, most }: Keeping): string {
  const site = makeSite()
  return `
ServerRoot ${folder}
${modules.join('\n')}
Listen 127.0.0.1:${port}
ServerName 127.0.0.1
PidFile ${folder}/pid
ScriptSock ${folder}/cgi.sock
ErrorLog ${folder}/error.log
KeepAlive On
KeepAliveTimeout ${keptMs / 1000}
MaxKeepAliveRequests ${most}
LimitRequestBody 10000000
TypesConfig /etc/mime.types
DocumentRoot ${site}
# Debian's httpd refuses to run its children as root.
User www-data
Group www-data
<Directory ${site}>
  Require all granted
</Directory>
<Directory ${site}/cgi>
  Options +ExecCGI
  SetHandler cgi-script
</Directory>
AddOutputFilterByType DEFLATE text/plain
`
}

/** MaxKeepAliveRequests: the last answer of a connection says so. */
async function many(trial: Trial, proxy: Parameters<typeof takeCodes>[0], most: number): Promise<void> {
  takeCodes(proxy)
  const agent = keptConnections(8)
  const asked = Array.from({ length: 500 }, (_, i) =>
    ask(proxy.url, {
      agent,
      ...(i % 10 === 0 ? { method: 'POST', path: '/cgi/answer.cgi/x' } : { path: '/file.txt' }),
    }),
  )
  const lost = (await Promise.all(asked)).filter((answer) => statusOf(answer) !== 200)
  agent.destroy()
  const name = `500 × GET and POST with MaxKeepAliveRequests ${most}`
  trial.holds(name, lost.length === 0, () => JSON.stringify([lost.length, lost[0], takeCodes(proxy)]))
}
