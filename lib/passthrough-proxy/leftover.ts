import type { IncomingMessage, ServerResponse } from 'node:http'

import { answerWithoutBody } from '../shared/unread-body.js'

/** How much of an upload that nobody wants any more is still read, so that the connection can be used again. */
const MOST_BYTES = 16 * 1024 * 1024
const LONGEST_MS = 2000

/**
 * Reads the rest of an upload and throws it away, so that the client's next request can be heard;
 * ends the connection where the rest is longer, or takes longer, than is worth it.
 */
export function drainLeftover(req: IncomingMessage): void {
  if (req.complete || req.destroyed || req.socket.destroyed) return
  const { socket } = req
  const most = socket.bytesRead + MOST_BYTES
  const giveUp = setTimeout(() => socket.destroy(), LONGEST_MS).unref()
  const count = (): void => {
    if (socket.bytesRead > most) socket.destroy()
  }
  const stop = (): void => clearTimeout(giveUp)
  req.on('data', count).once('end', stop).once('close', stop).on('error', ignore)
  req.resume()
}

/**
 * Makes the answer to a failed upload independent of the upload's end, which may never come.
 * What is left of it is drained once the answer is out.
 */
export function answerBeforeUpload(req: IncomingMessage, res: ServerResponse): void {
  if (req.complete || req.destroyed) return
  answerWithoutBody(req)
  res.once('finish', onAnswered)
}

function onAnswered(this: ServerResponse): void {
  drainLeftover(this.req)
}

function ignore(): void {}
