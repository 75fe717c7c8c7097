import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import path from 'node:path'
import { expect } from 'chai'
import { passthroughProxy, type SluicewayError } from 'sluiceway'
import { RawClient } from '../support/clients/raw-client.js'
import { hasNginx, Nginx } from '../support/servers/nginx.js'
import { isThorough } from '../support/thorough.js'

const PREFIX = '/v1/in'

const ordinary = ['/', '..', '.', 'a', 'b;v=1', '%20', '/../', '/..']

const hostile = ['/', '..', '.', 'a', '\\', '%5c', '%2F', '%2e', ';', '%3B', '#', '%u002e']

const decoded = (text: string): string =>
  text.replace(/%([\da-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
const withoutQuery = (text: string): string => text.replace(/\?.*$/s, '')
const withoutFragment = (text: string): string => text.replace(/[?#].*$/s, '')
const slashed = (text: string): string => text.replaceAll('\\', '/')
const merged = (text: string): string => text.replaceAll(/\/+/g, '/')
const withoutParameters = (text: string): string => text.replaceAll(/;[^/]*/g, '')
const withU = (text: string): string => text.replaceAll(/%u00([\da-f]{2})/gi, '%$1')

/** Removes dot segments as in RFC 3986 §5.2.4, where an empty segment counts as a segment. */
function resolved(text: string): string {
  const out: string[] = []
  for (const segment of text.split('/').slice(1)) {
    if (segment === '..') out.pop()
    else if (segment !== '.') out.push(segment)
  }
  return `/${out.join('/')}`
}

/** The ways in which servers read a path. */
const readings: Readonly<Record<string, (text: string) => string>> = {
  nginx: (text) => resolved(merged(decoded(withoutFragment(text)))),
  'nginx, merge_slashes off': (text) => resolved(decoded(withoutFragment(text))),
  'WHATWG URL': (text) => new URL(text, 'http://x').pathname,
  'RFC 3986': (text) => resolved(withoutQuery(text)),
  'node:path, Go': (text) => path.posix.normalize(decoded(withoutFragment(text))),
  'node:path, no fragment': (text) => path.posix.normalize(decoded(withoutQuery(text))),
  'node:path on Windows': (text) => slashed(path.win32.normalize(decoded(withoutFragment(text)))),
  Tomcat: (text) => resolved(merged(decoded(withoutParameters(withoutQuery(text))))),
  'Tomcat, ALLOW_BACKSLASH': (text) =>
    resolved(merged(slashed(decoded(withoutParameters(withoutQuery(text)))))),
  'Tomcat, encoded slashes passed': (text) =>
    resolved(merged(decoded(withoutParameters(withoutQuery(text).replaceAll(/%(?=2f|5c)/gi, '%25'))))),
  Jetty: (text) => resolved(withoutParameters(withoutQuery(text).replaceAll(/%2e/gi, '.'))),
  'Spring, decoded first': (text) => resolved(merged(withoutParameters(decoded(withoutQuery(text))))),
  IIS: (text) => resolved(merged(slashed(decoded(withU(withoutQuery(text)))))),
  'Apache, AllowEncodedSlashes On': (text) => resolved(merged(decoded(withoutQuery(text)))),
  'Apache, NoDecode': (text) => resolved(merged(decoded(withoutQuery(text).replaceAll(/%(?=2f)/gi, '%25')))),
  'Apache, MergeSlashes Off': (text) => resolved(decoded(withoutQuery(text))),
}

/** The name of a server that reads a path as one above the prefix, if there is one. */
function climbsFor(asked: string): string | undefined {
  return Object.keys(readings).find((name) => {
    const reached = (readings[name] as (text: string) => string)(PREFIX + asked)
    return reached !== PREFIX && !reached.startsWith(`${PREFIX}/`)
  })
}

/** Asks a proxy without a network: returns the path that it would send, or undefined if it refuses. */
function asker(): (url: string) => string | undefined {
  let sent: string | undefined
  const dispatcher = {
    dispatch({ path: asked }: { path: string }, handler: { onError: (error: Error) => void }) {
      sent = asked
      handler.onError(new Error('nobody is there'))
      return true
    },
  }
  const proxy = passthroughProxy(`http://upstream${PREFIX}`, { dispatcher })
  return (url) => {
    sent = undefined
    const req = Object.assign(new IncomingMessage(new Socket()), { url, method: 'GET', complete: true })
    proxy(req, new ServerResponse(req), (error) => {
      if (sent === undefined)
        expect((error as SluicewayError).code).to.equal('ERR_SLUICEWAY_PROXY_BAD_REQUEST')
    })
    return sent
  }
}

function* pathsOf(pieces: readonly string[], length: number): Generator<string> {
  if (length === 0) yield '/'
  else for (const begin of pathsOf(pieces, length - 1)) for (const piece of pieces) yield begin + piece
}

/** Asks for every path of up to `longest` pieces: one that climbs may not be sent, any other only unchanged or not at all. */
function count(pieces: readonly string[], longest: number): { refused: number; harmless: number } {
  const ask = asker()
  let refused = 0
  let harmless = 0
  for (let length = 0; length <= longest; length++) {
    for (const url of pathsOf(pieces, length)) {
      const sent = ask(url)
      const climber = climbsFor(url)
      if (climber === undefined) harmless += 1
      if (climber === undefined && sent === undefined) refused += 1
      else if (sent !== (climber === undefined ? PREFIX + url : undefined)) {
        expect.fail(`${url} was sent as ${sent}, and ${climber} reads it as above the prefix`)
      }
    }
  }
  console.log(`      ${refused} of ${harmless} harmless paths were refused`)
  return { refused, harmless }
}

describe('passthroughProxy and paths that climb', () => {
  it('never sends a path that any server would read as one above the prefix', function () {
    this.timeout(0)
    const { refused, harmless } = count(hostile, isThorough ? 6 : 4)
    // Those that mix readings as no server does.
    expect(refused / harmless).to.be.below(isThorough ? 0.07 : 0.04)
  })

  it('refuses no path of ordinary pieces that stays below the prefix', function () {
    this.timeout(0)
    expect(count(ordinary, isThorough ? 6 : 5).refused).to.equal(0)
  })

  it('agrees with nginx itself', async function () {
    this.timeout(0)
    if (!hasNginx()) this.skip()
    const nginx = await Nginx.serving(
      `location / { return 200 out; } location = ${PREFIX} { return 200 in; } location ${PREFIX}/ { return 200 in; }`,
    )
    const ask = asker()
    try {
      for (const url of pathsOf(['/..', 'a', '\\a', '%5Ca', '/', ';x', '/%2e%2e'], isThorough ? 5 : 4)) {
        const sent = ask(url)
        if (sent === undefined) continue
        const client = await RawClient.connect(Number(new URL(nginx.url).port))
        client.write(`GET ${sent} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
        const { status, body } = await client.response()
        client.destroy()
        // It refuses %u002e, for one.
        if (status !== 400) expect(String(body), url).to.equal('in')
      }
    } finally {
      await nginx.stop()
    }
  })
})
