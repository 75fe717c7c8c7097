// Transforms of all kinds, and answers whose bodies they change.
import { Transform, type TransformCallback } from 'node:stream'
import { TransformStream } from 'node:stream/web'
import type { BodyTransform } from 'sluiceway'

const upper = (chunk: Uint8Array): Buffer =>
  Buffer.from(Buffer.from(chunk).toString('latin1').toUpperCase(), 'latin1')

/** Turns letters into capitals. */
export function upperCase(): Transform {
  return new Transform({ transform: (chunk: Buffer, _encoding, done) => done(null, upper(chunk)) })
}

export function webUpperCase(): TransformStream<Uint8Array, Uint8Array> {
  return new TransformStream({ transform: (chunk, controller) => controller.enqueue(upper(chunk)) })
}

/** Both kinds of transforms, which do the same. */
export const upperCases: readonly (readonly [kind: string, create: () => BodyTransform])[] = [
  ['a Transform of Node', upperCase],
  ['a TransformStream', webUpperCase],
]

/** A transform made of one function. */
export function transformOf(
  transform: (this: Transform, chunk: Buffer, done: TransformCallback) => void,
  flush?: (this: Transform, done: TransformCallback) => void,
): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      transform.call(this, chunk, done)
    },
    ...(flush && {
      flush(done) {
        flush.call(this, done)
      },
    }),
  })
}

/** A stage that a test can watch: it lets bytes through, and keeps what it was given. */
export class Watched extends Transform {
  seen = ''

  override _transform(chunk: Buffer, _encoding: string, done: TransformCallback): void {
    this.seen += chunk.toString()
    done(null, chunk)
  }
}
