import type { IncomingMessage } from 'node:http'

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
 * Lets those answer who wait for the end of an upload first: finalhandler and body-parser throw the body away and
 * wait through on-finished for 'end' or 'finish', which for an endless upload is never.
 */
export function releaseWaiters(req: IncomingMessage): void {
  if (!req.complete) process.nextTick(emitFinish, req)
}

function emitFinish(req: IncomingMessage): void {
  req.emit('finish')
}

function ignore(): void {}
