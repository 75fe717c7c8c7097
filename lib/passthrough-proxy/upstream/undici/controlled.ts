import type { IncomingHttpHeaders } from 'node:http'
import type { Duplex } from 'node:stream'
import { Dispatched } from './dispatched.js'
import type { ControlledHandler, Controller } from './dispatcher.js'
import { cameOverHttp2, trailersOverHttp2 } from './failures.js'
import { headLines, namedLines, textLines } from './lines.js'

/**
 * Handles a request to a dispatcher of the caller, which may be undici 8 or 7: undici 8 supports only this interface,
 * undici 7 prefers it, and code that an application wrote for undici 7 may use the other one.
 */
export class ControlledDispatch extends Dispatched implements ControlledHandler {
  private controller: Controller | undefined

  override pause(): void {
    super.pause()
    this.controller?.pause()
  }

  override resume(): void {
    super.resume()
    this.controller?.resume()
  }

  onRequestStart(controller: Controller): void {
    this.controller = controller
    this.onConnect((reason) => this.controller?.abort(reason ?? new Error('the request is given up')))
  }

  onResponseStart(
    controller: Controller,
    status: number,
    headers: IncomingHttpHeaders,
    reason?: string,
  ): void {
    this.leaveQueue()
    this.use(controller)
    if (!this.isOver) this.takeHead(status, reason, headLines(controller.rawHeaders, headers))
  }

  onResponseData(controller: Controller, chunk: Buffer): void {
    // If the connection of an answer dies, an interceptor may continue its body on another one, without a head.
    if (this.controller !== controller) this.socket = undefined
    if (this.isOver || this.controller !== controller) this.use(controller)
    this.onData(chunk)
  }

  /** Takes a controller into use: an interceptor that sends a request again may supply another one. */
  private use(controller: Controller): void {
    this.controller = controller
    if (this.isOver) controller.abort(new Error('the request is given up'))
  }

  onResponseEnd({ rawTrailers }: Controller, trailers: IncomingHttpHeaders): void {
    if (Array.isArray(rawTrailers)) this.finish(textLines(rawTrailers as Buffer[]))
    // Only undici 7 passes them, which does not read trailers by name.
    else if (cameOverHttp2(rawTrailers) && !cameOverHttp2(trailers)) this.fail(trailersOverHttp2)
    else this.finish(namedLines(trailers))
  }

  onRequestUpgrade(
    controller: Controller,
    status: number,
    headers: IncomingHttpHeaders,
    socket: Duplex,
  ): void {
    this.takeUpgrade(status, headLines(controller.rawHeaders, headers), socket)
  }

  onResponseError(_controller: Controller | null, error: Error): void {
    this.onError(error)
  }
}
