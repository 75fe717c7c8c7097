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
import {
  requestLine,
  describeError,
  keepContext,
  Observation,
  shortened,
  describeThrown,
  writeLine,
} from './observation.js'

/*
 * The diagnostics channels of this package, and the line of each for `DEBUG=sluiceway:*`. docs/observing.md says when
 * each message is published.
 */

export const bodyRefused: Observation<BodyRefused> = new Observation(
  'sluiceway:body:refused',
  ({ req, error }) => {
    const { limit = 'none', received = 0, length = 'unknown' } = error
    return `${requestLine(req)}: ${describeError(error)}; limit ${limit}, received ${received}, length ${length}`
  },
)

export const bodySpilled: Observation<BodySpilled> = new Observation(
  'sluiceway:body:spilled',
  ({ req, memoryBytes, directory }) =>
    `${requestLine(req)}: more than ${memoryBytes} bytes, the rest goes to a file in ${directory}`,
)

export const bodyStored: Observation<BodyStored> = new Observation(
  'sluiceway:body:stored',
  ({ req, memoryBytes, fileBytes, isWhole }) => {
    const part = isWhole ? '' : ', incomplete'
    return `${requestLine(req)}: ${memoryBytes} bytes in memory, ${fileBytes} in a file${part}`
  },
)

export const flushStarted: Observation<FlushStarted> = new Observation(
  'sluiceway:flush',
  ({ req, isCompressed }) =>
    `${requestLine(req)}: streamed, ${isCompressed ? 'through a compressor' : 'as it is'}`,
)

export const childStarted: Observation<ChildStarted> = new Observation(
  'sluiceway:child:start',
  ({ req, child }) => {
    const { spawnfile = child.constructor.name, pid } = child as { spawnfile?: string; pid?: number }
    const process = pid === undefined ? 'no process' : `process ${pid}`
    return `${requestLine(req)}: ${shortened(spawnfile)}, ${process}`
  },
)

export const childExited: Observation<ChildExited> = new Observation(
  'sluiceway:child:exit',
  ({ req, code, signal, durationMs, isClientGone, error }) => {
    const exit = signal ?? (code === null ? 'exit not known' : `code ${code}`)
    const how = error === undefined ? exit : describeError(error)
    const why = isClientGone ? ', the client has left' : ''
    return `${requestLine(req)}: ${how} after ${Math.round(durationMs)} ms${why}`
  },
)

export const upgradeDecided: Observation<UpgradeDecided> = new Observation(
  'sluiceway:upgrade',
  ({ req, upgrade, outcome }) => {
    const words = {
      offered: 'goes to the app',
      left: 'left to the other listeners',
      plain: 'served as a plain request',
      cut: 'cut off',
    }
    return `${requestLine(req)}: upgrade to ${shortened(upgrade)}, ${words[outcome]}`
  },
)

export const exceptionContained: Observation<ExceptionContained> = new Observation(
  'sluiceway:contained',
  ({ req, error }) =>
    `${req ? requestLine(req) : 'a new connection'}: the connection ends after ${describeThrown(error)}`,
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
  if (debug.enabled)
    writeLine(debug, `${requestLine(message.req)}: ${debugOutcome(message)}${debugFigures(message)}`)
}

function debugOutcome({ outcome, outgoing, status, error }: ProxiedRequest): string {
  const answer = status === undefined ? 'no answer' : `${status}`
  const from = outgoing === undefined ? '' : ` from ${outgoing.origin}${shortened(outgoing.path)}`
  const words: Readonly<Record<ProxyOutcome, string>> = {
    answered: '',
    upgraded: ', the tunnel is closed',
    failed: `, ${describeError(error)}`,
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
