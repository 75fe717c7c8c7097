import type { IncomingHttpHeaders } from 'node:http'
import { expect } from 'chai'
import * as fc from 'fast-check'
import { passthroughProxy } from 'sluiceway'
import { RawClient } from '../support/clients/raw-client.js'
import { expressVersions } from '../support/express/express-versions.js'
import { answer, scriptedUpstream } from '../support/servers/scripted-upstream.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { holds } from './property.js'
import { Ends } from './upstream-ends.js'

type Line = readonly [name: string, value: string]
type Value = string | readonly string[]
type Headers = Map<string, Value>

/** The changes that an application makes to `req.headers`. */
type Change =
  | { readonly do: 'set'; readonly name: string; readonly value: Value | number | undefined }
  | { readonly do: 'delete'; readonly name: string }
  | { readonly do: 'append'; readonly name: string; readonly value: string }
  | { readonly do: 'same'; readonly name: string }
  | { readonly do: 'copy'; readonly without: string }

interface Case {
  readonly lines: readonly Line[]
  /** What the client's `Connection` names. */
  readonly named: readonly string[]
  readonly changes: readonly Change[]
}

/** Headers of which Node keeps the first line, according to its documentation of `message.headers`. */
const FIRST_COUNTS = [
  'age',
  'authorization',
  'content-type',
  'etag',
  'expires',
  'from',
  'if-modified-since',
  'if-unmodified-since',
  'last-modified',
  'location',
  'max-forwards',
  'referer',
  'retry-after',
  'server',
  'user-agent',
]

const STRIPPED = ['keep-alive', 'proxy-authorization', 'expect', 'upgrade']

const names = `
  Accept accept X-A x-a X_a X-Z Via If-Match Keep-Alive Cookie COOKIE Set-Cookie set-cookie
  Authorization authorization User-Agent ETag Referer Server 0 7 __proto__ constructor toString
`
  .trim()
  .split(/\s+/)

const sentName = fc.constantFrom(...names)
const text = fc
  .string({ unit: fc.constantFrom(...'ab,; \t"\u00e9'.split('')), maxLength: 4 })
  .map((one) => one.trim())
const setName = fc
  .oneof(
    sentName.map((name) => name.toLowerCase()),
    fc.constantFrom(
      'X-New',
      'x-new',
      'Authorization',
      'connection',
      'keep-alive',
      'upgrade',
      'content-length',
      'sluiceway-loop',
    ),
  )
  // Assigning to it is no change of the headers.
  .filter((name) => name !== '__proto__')

const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({
    do: fc.constant('set' as const),
    name: setName,
    value: fc.oneof(
      { weight: 5, arbitrary: text },
      fc.array(text, { maxLength: 3 }),
      fc.nat(9),
      fc.constant(undefined),
    ),
  }),
  fc.record({ do: fc.constant('delete' as const), name: setName }),
  fc.record({ do: fc.constant('append' as const), name: setName, value: text }),
  fc.record({ do: fc.constant('same' as const), name: setName }),
  fc.record({ do: fc.constant('copy' as const), without: setName }),
)

const cases: fc.Arbitrary<Case> = fc.record({
  lines: fc.array(fc.tuple(sentName, text), { maxLength: 10 }),
  named: fc.array(fc.constantFrom('X-A', 'authorization', 'x-new', 'X-Z', 'cookie'), { maxLength: 2 }),
  changes: fc.array(change, { maxLength: 4 }),
})

describe('passthroughProxy and changed headers, fuzzed', () => {
  afterEach(closeServers)

  for (const { name: version, express } of expressVersions) {
    it(`passes on the lines that the application has changed, and every other line as it came (${version})`, async function () {
      this.timeout(0)
      const upstream = await scriptedUpstream()
      let changes: readonly Change[] = []
      const app = express().set('env', 'test')
      app.use((req, _res, next) => {
        for (const one of changes) apply(one, req)
        next()
      })
      const { port } = await serve(app.use(passthroughProxy(upstream.url, { forwarded: false })))
      const ends = new Ends(upstream)
      const client = await RawClient.connect(port)
      const check = async (one: Case): Promise<void> => {
        ends.forgetUnfinished()
        changes = one.changes
        const lines = ['Host: test', ...one.lines.map((line) => line.join(': '))]
        if (one.named.length > 0) lines.push(`Connection: ${one.named.join(', ')}`)
        const head = `GET / HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`
        client.socket.write(Buffer.from(head, 'latin1'))
        const connection = await ends.next()
        const seen = await connection.untilText('\r\n\r\n')
        connection.write(answer())
        expect((await client.response()).status).to.equal(200)
        ends.done()
        expect(parse(seen)).to.deep.equal(expected(one))
      }
      await holds(fc.asyncProperty(cases, check), { runs: 400, milliseconds: 1000 })
    })
  }
})

/** Changes the request as an application would. */
function apply(one: Change, req: { headers: IncomingHttpHeaders }): void {
  const headers = req.headers as Record<string, unknown>
  if (one.do === 'set') headers[one.name] = one.value
  else if (one.do === 'delete') delete headers[one.name]
  else if (one.do === 'append')
    headers[one.name] =
      own(headers, one.name) === undefined ? one.value : `${String(headers[one.name])}, ${one.value}`
  else if (one.do === 'same')
    Object.assign(headers, own(headers, one.name) === undefined ? {} : { [one.name]: headers[one.name] })
  else req.headers = Object.fromEntries(Object.entries(req.headers).filter(([key]) => key !== one.without))
}

function own(headers: object, name: string): unknown {
  return Object.hasOwn(headers, name) ? (headers as Record<string, unknown>)[name] : undefined
}

/** The lines of a head, without those that the proxy adds. */
function parse(head: string): Line[] {
  const lines = head.trimEnd().split('\r\n').slice(1)
  return lines
    .map((line): Line => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon), line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '')]
    })
    .filter(
      ([key]) => !['host', 'connection', 'sluiceway-loop', 'content-length'].includes(key.toLowerCase()),
    )
}

/** The same by a model: a Map for `req.headers`, changed alike. */
function expected({ lines, named, changes }: Case): Line[] {
  const before = joined(lines)
  const now = new Map(before)
  for (const one of changes) applyToModel(one, now)
  const left = lastWords(now)
  const isChanged = (name: string): boolean =>
    String(listOf(before.get(name))) !== String(listOf(left.get(name)?.value)) ||
    listOf(before.get(name)).length !== listOf(left.get(name)?.value).length
  const out: Line[] = []
  const done = new Set<string>()
  for (const [key, sent] of lines) {
    const name = key.toLowerCase()
    if (!isChanged(name)) out.push([key, sent])
    else if (!done.has(name)) {
      done.add(name)
      out.push(...linesOf(key, left.get(name)?.value))
    }
  }
  for (const [name, { written, value: added }] of left) {
    if (before.has(name)) continue
    done.add(name)
    out.push(...linesOf(written, added))
  }
  const gone = named.map((option) => option.toLowerCase())
  return out.filter(([key]) => {
    const name = key.toLowerCase()
    if ([...STRIPPED, 'connection', 'sluiceway-loop', 'content-length'].includes(name)) return false
    return !gone.includes(name) || done.has(name)
  })
}

function joined(lines: readonly Line[]): Headers {
  const headers: Headers = new Map()
  for (const [key, sent] of lines) {
    const name = key.toLowerCase()
    const had = headers.get(name)
    if (name === '__proto__') continue
    if (name === 'set-cookie') headers.set(name, [...listOf(had), sent])
    else if (had === undefined) headers.set(name, sent)
    else if (!FIRST_COUNTS.includes(name))
      headers.set(name, `${String(had)}${name === 'cookie' ? '; ' : ', '}${sent}`)
  }
  return headers
}

function applyToModel(one: Change, headers: Headers): void {
  if (one.do === 'set')
    headers.set(one.name, (typeof one.value === 'number' ? String(one.value) : one.value) as Value)
  else if (one.do === 'delete') headers.delete(one.name)
  else if (one.do === 'copy') headers.delete(one.without)
  else if (one.do === 'append') {
    const had = headers.get(one.name)
    headers.set(one.name, had === undefined ? one.value : `${String(had)}, ${one.value}`)
  }
}

/** Of names that differ only in case the last counts, in the order of JavaScript objects: whole numbers first. */
function lastWords(headers: Headers): Map<string, { written: string; value: Value | undefined }> {
  const isIndex = (name: string): boolean => /^\d$/.test(name)
  const written = [...headers.keys()]
  const ordered = [...written.filter(isIndex).toSorted(), ...written.filter((name) => !isIndex(name))]
  const left = new Map<string, { written: string; value: Value | undefined }>()
  for (const name of ordered) left.set(name.toLowerCase(), { written: name, value: headers.get(name) })
  return left
}

function listOf(value: Value | undefined): readonly string[] {
  if (value === undefined) return []
  return typeof value === 'string' ? [value] : value
}

function linesOf(name: string, value: Value | undefined): Line[] {
  const values = listOf(value)
  const isOneLine = name.toLowerCase() === 'cookie' && values.length > 0
  return (isOneLine ? [values.join('; ')] : values).map((one): Line => [name, one.trim()])
}
