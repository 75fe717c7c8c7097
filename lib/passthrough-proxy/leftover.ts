import type { IncomingMessage, ServerResponse } from 'node:http'

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
 * Makes the answer to a failed upload independent of the upload's end. finalhandler and body-parser throw the body
 * away and wait, through on-finished, for 'end' or 'finish' of the request before they answer; for an endless upload
 * that is never. What is left of it is drained once the answer is out.
 */
export function answerBeforeUpload(req: IncomingMessage, res: ServerResponse): void {
  if (req.complete || req.destroyed) return
  req.on('newListener', onNewListener)
  res.once('finish', onAnswered)
}

/** A request has no 'finish' of its own: whoever listens for it waits for the upload to be over. */
function onNewListener(this: IncomingMessage, event: string | symbol): void {
  if (event === 'finish') process.nextTick(emitFinish, this)
}

function emitFinish(req: IncomingMessage): void {
  req.emit('finish')
}

function onAnswered(this: ServerResponse): void {
  drainLeftover(this.req)
}

function ignore(): void {}
