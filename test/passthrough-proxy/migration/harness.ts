/* The same request through another proxy and through ours: what the upstream sees, and what the client gets. */

import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express'
import expressHttpProxy from 'express-http-proxy'
import httpProxy from 'http-proxy'
import * as version3 from 'http-proxy-middleware'
import { RawClient, type RawResponse } from '../../support/clients/raw-client.js'
import { loadNode22 } from '../../support/repository/node22.js'
import { listen, serve, type TestServer } from '../../support/servers/servers.js'
import { key, serverCertificate } from '../../support/servers/tls-certificate.js'
import { until } from '../../support/time/until.js'

type Create = (options: object) => RequestHandler

/** How a middleware of each peer is made of its options; `target` is among them for all. */
const creators = {
  'http-proxy': async (): Promise<Create> => withHttpProxy,
  'http-proxy-middleware 3': async (): Promise<Create> => version3.createProxyMiddleware as Create,
  'http-proxy-middleware 4': async (): Promise<Create> =>
    (await loadNode22<{ createProxyMiddleware: Create }>('http-proxy-middleware')).createProxyMiddleware,
  'express-http-proxy': async (): Promise<Create> => withExpressHttpProxy,
}

export type PeerName = keyof typeof creators

/** http-proxy itself, whose listeners are given as http-proxy-middleware takes them. */
function withHttpProxy({
  on = {},
  ...options
}: { readonly on?: Readonly<Record<string, () => void>> } & httpProxy.ServerOptions): RequestHandler {
  const proxy = httpProxy.createProxyServer(options)
  for (const [event, listener] of Object.entries(on)) proxy.on(event, listener)
  return (req, res, next) => proxy.web(req, res, {}, 'error' in on ? undefined : next)
}

function withExpressHttpProxy({ target, ...options }: { readonly target?: string }): RequestHandler {
  return expressHttpProxy(target ?? '', options)
}

/** One message, in the parts that are compared. */
export interface Message {
  readonly line: string
  /** As `name: value`, names in lower case, sorted; without those that belong to a connection, and the date. */
  readonly headers: readonly string[]
  readonly body: string
}

export interface Outcome {
  /** The requests that the upstream has seen. */
  readonly seen: readonly Message[]
  /** The responses that the client has got. */
  readonly got: readonly Message[]
  /** How many connections the upstream has seen. */
  readonly connections: number
}

/** What the options of a row may name: the upstream, and another one. */
export interface Place {
  readonly url: string
  readonly port: number
  readonly other: TestServer
}

/** One option, there and here. */
export interface Row {
  /** The peers that have the option. By default http-proxy and http-proxy-middleware 3 and 4. */
  readonly peers?: readonly PeerName[]
  readonly there: (place: Place) => object
  /** The middlewares that take its place. */
  readonly here: (place: Place) => RequestHandler | RequestHandler[]
  /** @default '/api' */
  readonly mount?: string
  /** The requests, one after the other, each on a connection of its own. */
  readonly sent?: readonly string[]
  /** Why undici's client cannot take the place of ours. */
  readonly needsOwnClient?: string
  /** How many requests the upstreams see, where one may come after the response. */
  readonly atLeast?: number
  /** How the upstream answers. */
  readonly answer?: RequestListener
  /** Middlewares before either proxy, and only before ours. */
  readonly before?: readonly RequestHandler[]
  readonly beforeHere?: readonly RequestHandler[]
  /** The handler behind either proxy. */
  readonly next?: RequestHandler
  /** Error handlers behind ours. */
  readonly afterHere?: ErrorRequestHandler
  /** Whether the upstream speaks https, with a certificate for localhost. */
  readonly secure?: boolean
  /** Asserts in what the two differ. Without it they must be equal. */
  readonly differs?: (there: Outcome, here: Outcome, peer: PeerName) => void | Promise<void>
  /** Awaits what else both have done, where they must be equal. */
  readonly alsoDone?: () => Promise<void>
}

const THREE: readonly PeerName[] = ['http-proxy', 'http-proxy-middleware 3', 'http-proxy-middleware 4']

export function peersOf({ peers: named = THREE }: Row): readonly PeerName[] {
  return named
}

/** The Host of the client: not the upstream's, and with a port. */
export const HOST = 'www.example.org:8000'

/** A request for a path. */
export function get(path: string, ...lines: readonly string[]): string {
  return `GET ${path} HTTP/1.1\r\n${[`Host: ${HOST}`, ...lines].join('\r\n')}\r\n\r\n`
}

/** A request with a body. */
export function post(path: string, body: string, ...lines: readonly string[]): string {
  const head = get(path, ...lines, `Content-Length: ${Buffer.byteLength(body)}`)
  return head.replace('GET', 'POST') + body
}

/** Runs one row: its requests go through the peer and through ours, to one upstream after the other. */
export async function compare(row: Row, peer: PeerName): Promise<void> {
  const create = await creators[peer]()
  const { beforeHere = [], afterHere, ...both } = row
  const there = await outcomeOf({
    ...both,
    here: (place) => create({ target: place.url, ...row.there(place) }),
  })
  const here = await outcomeOf({ ...both, before: [...beforeHere, ...(row.before ?? [])] }, afterHere)
  if (row.differs !== undefined) return await row.differs(there, here, peer)
  expect(here.seen, 'the upstream').to.deep.equal(there.seen.map((message) => withoutAdded(message, peer)))
  expect(here.got, 'the client').to.deep.equal(there.got)
  await row.alsoDone?.()
}

async function outcomeOf(row: Row, after?: ErrorRequestHandler): Promise<Outcome> {
  const { answer = (_req, res) => res.end('ok'), sent = [get('/api/x')], mount = '/api', secure } = row
  const seen: Message[] = []
  const upstream = await listen(recording(seen, answer, secure))
  const other = await listen(recording(seen, (_req, res) => res.end('other')))
  const url = secure === true ? `https://localhost:${upstream.port}` : upstream.url
  const app = application(row.before ?? [])
  app.use(mount, row.here({ url, port: upstream.port, other }))
  if (after !== undefined) app.use(after)
  if (row.next !== undefined) app.use(row.next)
  const got = await answers((await serve(app)).port, sent)
  await until(() => seen.length >= (row.atLeast ?? 0))
  const plain = (message: Message): Message => withoutPorts(message, [upstream.port, other.port])
  return { seen: seen.map(plain), got: got.map(plain), connections: upstream.connections.length }
}

function application(before: readonly RequestHandler[]): Express {
  const app = express().set('env', 'test').disable('x-powered-by').disable('etag')
  for (const handler of before) app.use(handler)
  return app
}

async function answers(port: number, sent: readonly string[]): Promise<Message[]> {
  const got: Message[] = []
  for (const request of sent) {
    const client = await RawClient.connect(port)
    client.write(request)
    got.push(ofResponse(await client.response({ head: request.startsWith('HEAD ') })))
    client.destroy()
  }
  return got
}

/** An upstream that notes each request, and then answers it. */
function recording(seen: Message[], answer: RequestListener, secure = false): Server {
  const listener: RequestListener = (req, res) => {
    const note = (body: string): void => {
      seen.push({ line: `${req.method} ${req.url}`, headers: linesOf(req), body })
      res.sendDate = false
      answer(req, res)
    }
    text(req).then(note, () => res.destroy())
  }
  return secure ? createSecureServer({ key, cert: serverCertificate }, listener) : createServer(listener)
}

function linesOf({ rawHeaders }: IncomingMessage): string[] {
  const lines: string[] = []
  for (let i = 0; i < rawHeaders.length; i += 2) lines.push(`${rawHeaders[i]}: ${rawHeaders[i + 1]}`)
  return compared(lines)
}

function ofResponse({ head, body }: RawResponse): Message {
  const [line = '', ...lines] = head.trimEnd().split('\r\n')
  return { line, headers: compared(lines), body: body.toString() }
}

/** What each proxy decides for its own connections, and the mark of ours. */
const OWN = /^(?:connection|keep-alive|date|sluiceway-loop):/

function compared(lines: readonly string[]): string[] {
  const lowered = lines.map((line) => line.replace(/^[^:]*/, (name) => name.toLowerCase()))
  return lowered.filter((line) => !OWN.test(line)).toSorted()
}

/** express-http-proxy adds two lines to a GET. */
function withoutAdded({ headers, ...message }: Message, peer: PeerName): Message {
  const isOwn = (line: string): boolean => /^(?:accept-charset: utf-8|content-length: 0)$/.test(line)
  return {
    ...message,
    headers: peer === 'express-http-proxy' ? headers.filter((line) => !isOwn(line)) : headers,
  }
}

/** Ports differ from run to run. */
function withoutPorts({ line, headers, body }: Message, [port, other]: readonly number[]): Message {
  const plain = (value: string): string =>
    value.replaceAll(`:${port}`, ':80xx').replaceAll(`:${other}`, ':81xx')
  return { line, headers: headers.map(plain), body: plain(body) }
}

/** The value of a header in a message. */
export function valueOf(message: Message | undefined, name: string): string | undefined {
  return message?.headers.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2)
}

/** Answers with given headers. */
export function answering(
  status: number,
  headers: Readonly<Record<string, string | string[]>>,
  body: string | Buffer = '',
): RequestListener {
  return (_req: IncomingMessage, res: ServerResponse) => void res.writeHead(status, headers).end(body)
}
