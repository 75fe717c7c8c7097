import http from 'node:http'
import { closeServers } from '../../test/support/servers/servers.js'
import type { Failures } from './failures.js'
import { hostileResponses } from './response-catalog.js'
import { differenceOf } from './response-differences.js'
import type { HostileResponse } from './response-entry.js'
import { HostileUpstream } from './response-upstream.js'

/** A client that has not taken a response by then waits for more of it. */
const PATIENCE_MS = 300

/** llhttp 8, of Node 20, takes more than those behind it: white space in front of colons, LF for an end of line. */
const isLenient = Number.parseInt(process.versions['llhttp'] ?? '', 10) < 9

/** Holds what the catalog says of Node's own client to that: it is the other judge of what a response is. */
export async function compareWithNode(failures: Failures): Promise<number> {
  if (isLenient) return 0
  const upstream = await new HostileUpstream().start()
  const entries = hostileResponses.filter(({ node, moment }) => node === 'alike' && moment === 'asked')
  for (const one of entries) {
    upstream.begin(one)
    const isTaken = await takes(`${upstream.url}/hostile/0`)
    if (isTaken !== mustTake(one)) note(failures, one, isTaken)
  }
  await closeServers()
  return entries.length
}

/** Node takes what we take, but for the differences that are listed. */
function mustTake({ name, must }: HostileResponse): boolean {
  const isOurs = typeof must !== 'string'
  return differenceOf('Node', name) === undefined ? isOurs : !isOurs
}

function note(failures: Failures, { name }: HostileResponse, isTaken: boolean): void {
  const kind = `Node ${isTaken ? 'takes' : 'refuses'} it, unlike us`
  failures.count(kind)
  failures.example(kind, name)
}

/** Whether Node's client reads it to its end. */
function takes(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = http.get(url, { agent: false, signal: AbortSignal.timeout(PATIENCE_MS) })
    request.on('error', () => resolve(false))
    request.on('response', (response) => {
      response.on('error', () => resolve(false)).resume()
      response.on('close', () => resolve(response.complete))
    })
  })
}
