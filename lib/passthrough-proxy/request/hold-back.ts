import type { Readable } from 'node:stream'

/**
 * Holds a body back until it is sent. Another reader, such as one that counts bytes, gets them together with the
 * upstream; without this, the bytes that come while the request waits for a connection would reach only that reader.
 */
export function holdBack(body: Readable): void {
  if (body.readableFlowing === true) body.pause()
}
