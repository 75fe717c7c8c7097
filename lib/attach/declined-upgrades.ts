import { currentResponse, isHeldUp } from '../node/connection/connection.js'
import {
  afterExecution,
  bytesAtHand,
  type OnIncoming,
  parseMore,
  replaceIncoming,
  serveAsPlain,
  skipFurtherMessages,
  skipMessage,
  readsFromHandle,
} from '../node/connection/parser.js'
import type {
  CheckingServer,
  OnExecute,
  ParsedRequest,
  RequestParser,
  ServerSocket,
} from '../node/internals.js'
import { hasCutHead, hasUnknownCoding } from '../node/request/facts.js'
import { closeAfter } from '../node/response/state.js'
import { closeConnection } from './close-connection.js'
import { isTakeable, isTurnOf } from './takeable.js'
import { tellDecision } from './tell-decision.js'

/** The properties of a parse error that Node adds to describe the bytes. */
interface FailedPacket {
  readonly rawPacket: Buffer | undefined
  readonly bytesParsed: number
}

/** Tells whether an app is currently attached to a server. */
type IsAttached = (server: CheckingServer) => boolean

/** Declines upgrades on a connection that Node has just begun to parse, while its server has an app attached. */
export function declineUpgrades(server: CheckingServer, socket: ServerSocket, isAttached: IsAttached): void {
  const { parser } = socket
  // HTTP/2 connections and the TCP connection below TLS have no parser.
  if (parser) new ParsedConnection(server, socket, parser).watch(isAttached)
}

/**
 * A connection whose upgrades are declined unless they can be taken at once, or after the current response.
 *
 * A declined upgrade is a plain request (RFC 9110 §7.8). Node serves it in its turn, with its framing and all
 * checks, as if it had no `Upgrade` header.
 *
 *     parser ─┬─ onIncoming ─┬─ declined ─▶ Node: 'request'
 *             │              └─ taken ────▶ Node: 'upgrade'
 *             └─ onExecute ──▶ the bytes after a declined upgrade are parsed
 */
class ParsedConnection {
  private readonly server: CheckingServer
  private readonly socket: ServerSocket
  private readonly parser: RequestParser
  /** Node's own `onIncoming`. */
  private readonly serve: OnIncoming
  /** The declined upgrade whose end the parser has not reached yet. */
  private declined: ParsedRequest | undefined
  /** The last request that had to wait for another one. */
  private queued: ParsedRequest | undefined
  /** The bytes after a declined upgrade, possibly none, while the connection is paused. */
  private rest: Buffer | undefined
  /**
   * True once such bytes have been parsed: the event that brings them to the parser does not say how many there are.
   */
  private hasReturnedBytes = false
  /**
   * True from a declined upgrade to the next message: here the parser silently rejects bytes that begin no message.
   */
  private isBehindUpgrade = false

  constructor(server: CheckingServer, socket: ServerSocket, parser: RequestParser) {
    this.server = server
    this.socket = socket
    this.parser = parser
    this.serve = parser.onIncoming
  }

  watch(isAttached: IsAttached): void {
    const { parser } = this
    replaceIncoming(parser, (req, keepAlive) => {
      this.isBehindUpgrade = false
      if (this.declined !== undefined || this.rest !== undefined) return this.stop(req)
      return req.upgrade && req.method !== 'CONNECT' && isAttached(this.server)
        ? this.answerUpgrade(req, keepAlive)
        : this.pass(req, keepAlive)
    })
    afterExecution(parser, (parsed, onExecute) => this.afterParsing(parsed, onExecute))
  }

  private answerUpgrade(req: ParsedRequest, keepAlive: boolean): number {
    if (isTakeable(this.server, req) && isTurnOf(this.socket, this.queued)) return this.offer(req, keepAlive)
    const { upgrade } = req.headers
    serveAsPlain(req)
    if (hasUnknownCoding(req)) return this.refuseCoding()
    tellDecision(req, 'plain', upgrade)
    return this.findsEndOf(req) ? this.passDeclined(req, keepAlive) : this.passAsLast(req)
  }

  private refuseCoding(): number {
    const rawPacket = bytesAtHand(this.parser)
    this.fail('HPE_INVALID_TRANSFER_ENCODING', 'Request has invalid `Transfer-Encoding`', { rawPacket })
    return 0
  }

  /** Offers the upgrade to Node, which takes it if `server.shouldUpgradeCallback` agrees. */
  private offer(req: ParsedRequest, keepAlive: boolean): number {
    const result = this.pass(req, keepAlive)
    if (!req.upgrade) this.declined = req
    return result
  }

  private pass(req: ParsedRequest, keepAlive: boolean): number {
    const result = this.serve(req, keepAlive)
    this.queued = currentResponse(this.socket)?.req === req ? undefined : req
    return result
  }

  private passDeclined(req: ParsedRequest, keepAlive: boolean): number {
    this.declined = req
    return this.pass(req, keepAlive)
  }

  /** Serves a message whose end cannot be found, and closes the connection afterwards. */
  private passAsLast(req: ParsedRequest): number {
    skipFurtherMessages(this.parser)
    return this.pass(req, false)
  }

  /** Tells whether the parser will report the end of a message, and has kept all header lines that frame it. */
  private findsEndOf(req: ParsedRequest): boolean {
    return readsFromHandle(this.parser) && !this.hasReturnedBytes && !hasCutHead(req)
  }

  /**
   * Saves the bytes after a message with `Upgrade`. The parser stops there even if Node serves the message as a plain
   * request, and Node drops the rest of the bytes: a whole message, or the beginning of one, whose end would then be
   * read as another message.
   */
  private afterParsing(parsed: unknown, onExecute: OnExecute): void {
    // TLS may hand decrypted bytes to a paused parser. After an upgrade, they would be lost without an error.
    if (this.rest !== undefined) this.socket.destroy()
    else if (this.declined?.complete === true) this.rest = this.restAfter(parsed)
    else this.requireAllTaken(parsed, () => bytesAtHand(this.parser))
    onExecute(parsed)
    if (this.rest === undefined) return
    // Runs before Node's own listener, which over TLS may parse more bytes at once.
    if (isHeldUp(this.socket)) this.socket.prependListener('resume', this.returnRest)
    else this.returnRest()
  }

  private restAfter(parsed: unknown): Buffer | undefined {
    this.declined = undefined
    this.isBehindUpgrade = true
    // No known Node reports an error here. With an error, all bytes would be given back and parsed twice.
    if (typeof parsed !== 'number') return undefined
    return bytesAtHand(this.parser)?.subarray(parsed)
  }

  private readonly returnRest = (): void => {
    const { rest, socket } = this
    if (rest === undefined || isHeldUp(socket)) return
    socket.off('resume', this.returnRest)
    this.rest = undefined
    if (rest.length === 0) return
    this.hasReturnedBytes = true
    if (!socket.destroyed && socket.parser === this.parser) this.giveBack(rest)
  }

  private giveBack(rest: Buffer): void {
    this.requireAllTaken(parseMore(this.socket, this.parser, rest), () => rest)
  }

  /** Closes the connection if the bytes after a declined upgrade do not begin a message. */
  private requireAllTaken(parsed: unknown, given: () => Buffer | undefined): void {
    if (!this.isBehindUpgrade || typeof parsed !== 'number') return
    const rawPacket = given()
    if (parsed === rawPacket?.length) return
    if (currentResponse(this.socket)) this.closeAfterResponse()
    else this.fail('HPE_INVALID_METHOD', 'Invalid method encountered', { rawPacket, bytesParsed: parsed })
  }

  /**
   * Ends a connection whose bytes may be lost or out of order, for instance because the application listens to its
   * socket.
   */
  private stop(req: ParsedRequest): number {
    this.closeAfterResponse()
    return skipMessage(req)
  }

  private closeAfterResponse(): void {
    const { socket } = this
    skipFurtherMessages(this.parser)
    const res = currentResponse(socket)
    if (res !== undefined) closeAfter(res)
    else closeConnection(socket)
  }

  /**
   * Fails the connection as Node does for a message without `Upgrade`: with 'clientError', or else a 400. Listeners
   * log the packet of such an error, and some throw if there is none.
   */
  private fail(code: string, reason: string, { rawPacket, bytesParsed = 0 }: Partial<FailedPacket>): void {
    skipFurtherMessages(this.parser)
    const error = new Error(`Parse Error: ${reason}`)
    this.socket.emit('error', Object.assign(error, { code, reason, bytesParsed, rawPacket }))
  }
}
