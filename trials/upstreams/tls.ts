import { lookup } from 'node:dns'
import type { IncomingMessage } from 'node:http'
import { get } from 'node:https'
import type { LookupFunction } from 'node:net'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import type { ConnectionOptions } from 'node:tls'
import { ask, statusOf } from './asking.js'
import { Authority, expired, type Certificate } from './certificates.js'
import { startNginx } from './nginx-server.js'
import { freePort, temporaryFolder } from './program.js'
import { proxyTo } from './proxy.js'
import { overTls } from './tls-load.js'
import type { Trial } from './trial.js'

/** Options as both ways take them. */
export type Connecting = ConnectionOptions & {
  readonly lookup?: LookupFunction
  readonly socketPath?: string
}

/** One server, by what it shows to its clients. */
interface Shown {
  readonly certificate: Certificate
  readonly lines?: string
  readonly names?: string
}

const ours = 'DNS:localhost,DNS:a.example,IP:127.0.0.1'

/** nginx over TLS. */
export async function tls(trial: Trial): Promise<void> {
  const authority = new Authority()
  const servers = serversOf(authority)
  const ports = new Map<string, number>()
  for (const name of Object.keys(servers)) ports.set(name, await freePort())
  const folder = temporaryFolder()
  const http = Object.entries(servers)
    .map(([name, shown]) => block(shown, `127.0.0.1:${ports.get(name)}`))
    .join('')
  const shared = ports.get('good')!
  const more = block(
    { certificate: authority.sign('b', 'DNS:b.example'), names: 'b.example' },
    `127.0.0.1:${shared}`,
  )
  const socket = block(servers['good']!, `unix:${folder}/tls.sock`)
  const plain = `server { listen unix:${folder}/plain.sock; location / { return 200 "plain"; } }`
  const { version, port } = await startNginx(
    'location / { return 200 "plain"; }',
    http + more + socket + plain,
  )
  trial.server = version
  ports.set('plain', port)
  await trusting(trial, authority, ports)
  await versions(trial, authority, ports)
  await socketFiles(trial, authority, folder)
  await overTls(trial, authority, ports)
}

function serversOf(authority: Authority): Record<string, Shown> {
  const certificate = authority.sign('a', ours)
  return {
    good: { certificate },
    'self-signed': { certificate: authority.selfSigned('self', ours) },
    expired: { certificate: expired() },
    'another name': { certificate: authority.sign('other', 'DNS:other.example') },
    'http/2 too': { certificate, lines: 'http2' },
    'TLS 1.2': { certificate, lines: '; ssl_protocols TLSv1.2' },
    'TLS 1.3': { certificate, lines: '; ssl_protocols TLSv1.3' },
    mutual: { certificate, lines: `; ssl_verify_client on; ssl_client_certificate ${authority.file}` },
  }
}

/** `lines` goes on where `listen` ends. */
function block({ certificate, lines = '', names = '_' }: Shown, at: string): string {
  const { key, cert } = certificate.files
  return `server {
    listen ${at} ssl ${lines};
    server_name ${names}; ssl_certificate ${cert}; ssl_certificate_key ${key};
    location / { return 200 "$ssl_protocol $ssl_server_name $ssl_client_verify $ssl_client_s_dn $server_name $server_protocol"; }
    location /reused { keepalive_timeout 0; return 200 "$ssl_session_reused"; }
    location /file { root ${path.dirname(cert)}; }
  }`
}

async function trusting(
  trial: Trial,
  authority: Authority,
  ports: ReadonlyMap<string, number>,
): Promise<void> {
  const { ca } = authority
  const toHere: LookupFunction = (_name, options, callback) =>
    lookup('127.0.0.1', options as object, callback as never)
  const client = authority.sign('client', 'DNS:client')
  const { key, cert } = client
  const cases: readonly (readonly [string, string, string, Connecting])[] = [
    ['a private CA', 'good', '127.0.0.1', { ca }],
    ['a private CA, by name', 'good', 'localhost', { ca }],
    ['no CA', 'good', '127.0.0.1', {}],
    ['no CA, not verified', 'good', '127.0.0.1', { rejectUnauthorized: false }],
    ['self-signed', 'self-signed', '127.0.0.1', { ca }],
    ['expired', 'expired', '127.0.0.1', { ca: expired().cert }],
    ['another name', 'another name', 'localhost', { ca }],
    ['another address', 'another name', '127.0.0.1', { ca }],
    ['another name, as servername', 'another name', '127.0.0.1', { ca, servername: 'other.example' }],
    ['SNI of a name', 'good', 'a.example', { ca, lookup: toHere }],
    ['SNI of another name', 'good', 'b.example', { ca, lookup: toHere }],
    ['SNI by servername', 'good', '127.0.0.1', { ca, servername: 'b.example' }],
    ['HTTP/2 is offered', 'http/2 too', 'localhost', { ca }],
    ['mutual TLS', 'mutual', 'localhost', { ca, key, cert }],
    ['mutual TLS without a certificate', 'mutual', 'localhost', { ca }],
    [
      'mutual TLS, by a stranger',
      'mutual',
      'localhost',
      { ca, ...pick(authority.selfSigned('stranger', 'DNS:x')) },
    ],
    ['no TLS', 'plain', 'localhost', { ca }],
  ]
  for (const [name, server, host, connect] of cases) {
    await compare(trial, name, `https://${host}:${ports.get(server)}`, connect)
  }
}

function pick({ key, cert }: Certificate): Connecting {
  return { key, cert }
}

async function versions(trial: Trial, { ca }: Authority, ports: ReadonlyMap<string, number>): Promise<void> {
  for (const server of ['TLS 1.2', 'TLS 1.3', 'good']) {
    for (const limit of [{}, { maxVersion: 'TLSv1.2' }, { minVersion: 'TLSv1.3' }] as const) {
      const name = `${server} with ${JSON.stringify(limit)}`
      await compare(trial, name, `https://localhost:${ports.get(server)}`, { ca, ...limit })
    }
  }
}

async function socketFiles(trial: Trial, { ca }: Authority, folder: string): Promise<void> {
  const tlsSocket: Connecting = { ca, socketPath: `${folder}/tls.sock` }
  await compare(trial, 'a socket file with TLS', 'https://localhost', tlsSocket)
  await compare(trial, 'a socket file with TLS, another name', 'https://other.example', tlsSocket)
  const plain = await proxyTo('http://any', { connect: { socketPath: `${folder}/plain.sock` } })
  trial.holds('a socket file', statusOf(await ask(plain.url)) === 200)
  const none = await proxyTo('http://any', { connect: { socketPath: `${folder}/none.sock` } })
  const status = statusOf(await ask(none.url))
  const [error] = none.errors
  const isClear = status === 502 && error?.code === 'ERR_SLUICEWAY_UPSTREAM_UNREACHABLE'
  trial.holds('a socket file that is not there', isClear && String(error.cause).includes('ENOENT'), () =>
    String(error),
  )
}

/** The same body, or the same reason in the `cause` of our error. */
async function compare(trial: Trial, name: string, target: string, connect: Connecting): Promise<void> {
  const direct = await directly(target, connect)
  const proxy = await proxyTo(target, { connect })
  const answer = await fetch(proxy.url)
  const body = await answer.text()
  const [error] = proxy.errors
  const proxied = error === undefined ? `${answer.status} ${body}` : codeOf(error.cause)
  trial.same(name, direct, proxied)
  if (error === undefined) return
  trial.holds(`${name}: a 502`, answer.status === 502)
  trial.note(`${name}: ${error.code}: ${error.message} (${codeOf(error.cause)})`)
}

async function directly(target: string, connect: Connecting): Promise<string> {
  return await new Promise((resolve) => {
    get(target, { ...connect, agent: false }, (answer: IncomingMessage) => {
      void text(answer).then((body) => resolve(`${answer.statusCode} ${body}`))
    }).on('error', (error) => resolve(codeOf(error)))
  })
}

/** What OpenSSL says has another code where Node was writing already. */
function codeOf(error: unknown): string {
  const code = String((error as NodeJS.ErrnoException | undefined)?.code ?? error)
  return code.replace(/^ERR_SSL_.*/, 'EPROTO')
}
