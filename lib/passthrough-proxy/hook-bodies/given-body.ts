import type { Readable } from 'node:stream'
import { types } from 'node:util'
import { described } from '../../shared/described.js'
import type { ReplacementBody } from '../hooks.js'
import { drop, isNodeReadable, isWebReadable } from './body-transform.js'
import { containTransform } from './contained-transform.js'
import { WebOutput } from './web-streams.js'

/** Returns the bytes of a body in memory that a hook has given; undefined for a stream. */
export function bytesIn(body: ReplacementBody): Buffer | undefined {
  if (body === null) return Buffer.alloc(0)
  if (typeof body === 'string') return Buffer.from(body)
  if (types.isAnyArrayBuffer(body)) return Buffer.from(body)
  if (types.isUint8Array(body)) return Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  return undefined
}

/** Returns the stream that a hook has given as a body. `owner` names its place in the message for anything else. */
export function streamIn(body: unknown, owner: string): Readable {
  if (isWebReadable(body)) return new WebOutput(body)
  if (!isNodeReadable(body)) {
    throw new TypeError(
      `${owner} takes a stream, bytes (Buffer, Uint8Array, ArrayBuffer), a string or null, got ${described(body)}${hintFor(body)}`,
    )
  }
  if (body.destroyed || body.readableEnded) {
    // Its error may still be on its way, and ended the process.
    drop(body)
    throw new TypeError(`${owner} got a stream that has ended before`, { cause: body.errored })
  }
  containTransform(body)
  return body
}

function hintFor(body: unknown): string {
  const isIterable =
    typeof (body as Partial<AsyncIterable<unknown>> | undefined)?.[Symbol.asyncIterator] === 'function'
  return isIterable ? '; wrap it in Readable.from()' : ''
}
