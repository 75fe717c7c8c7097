import { type TracingChannel, tracingChannel } from 'node:diagnostics_channel'
import type { IncomingMessage } from 'node:http'
import createDebug from 'debug'
import type {
  BodyRefused,
  BodySpilled,
  BodyStored,
  ChildExited,
  ChildStarted,
  ExceptionContained,
  FlushStarted,
  ProxiedRequest,
  ProxyOutcome,
  UpgradeDecided,
} from './messages.js'
import { asked, inWords, keepContext, Observation, withPlace } from './observation.js'

/*
 * The diagnostics channels of this package, and the line of each for `DEBUG=sluiceway:*`. docs/observing.md says when
 * each message is published.
 */

export const bodyRefused: Observation<BodyRefused> = new Observation(
  'sluiceway:body:refused',
  (debug, { req, error }) => {
    const { limit = 'none', received = 0, length = 'unknown' } = error
    debug('%s: %s; limit %s, received %d, length %s', asked(req), inWords(error), limit, received, length)
  },
)

export const bodySpilled: Observation<BodySpilled> = new Observation(
  'sluiceway:body:spilled',
  (debug, message) => {
    const { req, memoryBytes, directory } = message
    debug('%s: more than %d bytes, the rest goes to a file in %s', asked(req), memoryBytes, directory)
  },
)

export const bodyStored: Observation<BodyStored> = new Observation(
  'sluiceway:body:stored',
  (debug, message) => {
    const { req, memoryBytes, fileBytes, isWhole } = message
    const part = isWhole ? '' : ', and no more comes'
    debug('%s: %d bytes in memory, %d in a file%s', asked(req), memoryBytes, fileBytes, part)
  },
)

export const flushStarted: Observation<FlushStarted> = new Observation(
  'sluiceway:flush',
  (debug, { req, isCompressed }) => {
    debug('%s: streamed, %s', asked(req), isCompressed ? 'through a compressor' : 'as it is')
  },
)

export const childStarted: Observation<ChildStarted> = new Observation(
  'sluiceway:child:start',
  (debug, { req, child }) => {
    const { spawnfile = child.constructor.name, pid } = child as { spawnfile?: string; pid?: number }
    debug('%s: %s, %s', asked(req), spawnfile, pid === undefined ? 'no process' : `process ${pid}`)
  },
)

export const childExited: Observation<ChildExited> = new Observation(
  'sluiceway:child:exit',
  (debug, { req, code, signal, durationMs, isClientGone, error }) => {
    const how = error === undefined ? (signal ?? `code ${code}`) : inWords(error)
    const why = isClientGone ? ', the client has left' : ''
    debug('%s: %s after %d ms%s', asked(req), how, Math.round(durationMs), why)
  },
)

export const upgradeDecided: Observation<UpgradeDecided> = new Observation(
  'sluiceway:upgrade',
  (debug, message) => {
    const { req, upgrade, outcome } = message
    const words = {
      offered: 'goes to the app',
      left: 'left to the other listeners',
      plain: 'served as a plain request',
      cut: 'cut off',
    }
    debug('%s: upgrade to %s, %s', asked(req), upgrade, words[outcome])
  },
)

export const exceptionContained: Observation<ExceptionContained> = new Observation(
  'sluiceway:contained',
  (debug, message) => {
    const { req, error } = message
    debug('%s: the connection ends after %s', req ? asked(req) : 'a new connection', withPlace(error))
  },
)

/** Keeps the context for messages about a body, which Node's parser may cause in the context of its connection. */
export function keepContextOfBody(req: IncomingMessage): void {
  const isObserved = bodyRefused.hasSubscribers || bodySpilled.hasSubscribers || bodyStored.hasSubscribers
  if (isObserved) keepContext(req)
}

/** The five channels of a proxied request. */
export const proxyChannels: TracingChannel<unknown, ProxiedRequest> = tracingChannel('sluiceway:proxy')

const debug = createDebug('sluiceway:proxy')

/** Tells whether proxied requests have subscribers, or a `DEBUG` line. */
export function isProxyObserved(): boolean {
  return proxyChannels.hasSubscribers || debug.enabled
}

/** Writes the `DEBUG` line of a proxied request that is over, or has become a tunnel. */
export function proxyLine(message: ProxiedRequest): void {
  if (debug.enabled) debug('%s: %s%s', asked(message.req), debugOutcome(message), debugFigures(message))
}

function debugOutcome({ outcome, outgoing, status, error }: ProxiedRequest): string {
  const answer = status === undefined ? 'no answer' : `${status}`
  const from = outgoing === undefined ? '' : ` from ${outgoing.origin}${outgoing.path}`
  const words: Readonly<Record<ProxyOutcome, string>> = {
    answered: '',
    upgraded: ', the tunnel is closed',
    failed: `, ${inWords(error)}`,
    'client-left': ', the client has left',
    'answered-here': ', the application has answered itself',
  }
  return `${answer}${from}${outcome === undefined ? ', a tunnel begins' : words[outcome]}`
}

function debugFigures(message: ProxiedRequest): string {
  const { headMs, totalMs, requestBytes, responseBytes, isRetried, attempts } = message
  const head = headMs === undefined ? '' : `; head after ${Math.round(headMs)} ms`
  const end = totalMs === undefined ? '' : `; over after ${Math.round(totalMs)} ms`
  const bytes = totalMs === undefined ? '' : `; ${requestBytes} bytes up, ${responseBytes} down`
  const targets = attempts > 1 ? `; target number ${attempts}` : ''
  return `${head}${end}${bytes}${targets}${isRetried ? '; sent twice' : ''}`
}
