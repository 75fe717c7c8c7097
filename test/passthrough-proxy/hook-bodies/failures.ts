import { Duplex, Transform } from 'node:stream'
import { ReadableStream, TransformStream, WritableStream } from 'node:stream/web'
import type { BodyTransform } from 'sluiceway'
import { transformOf } from './transforms.js'

/** A transform that lets everything through up to 'bad', at which it does what a test is about. */
type Bad = (
  fail: (this: Transform, chunk: Buffer, done: (error?: Error | null, chunk?: unknown) => void) => void,
) => Transform

export const atBad: Bad = (fail) =>
  transformOf(function (chunk, done) {
    if (chunk.toString().includes('bad')) fail.call(this, chunk, done as never)
    else done(null, chunk)
  })

export interface WebController {
  enqueue(chunk: unknown): void
  error(reason: unknown): void
  terminate(): void
}

const webAtBad = (fail: (controller: WebController) => void): TransformStream =>
  new TransformStream({
    transform(chunk: Uint8Array, controller: WebController) {
      if (Buffer.from(chunk).includes('bad')) fail(controller)
      else controller.enqueue(chunk)
    },
  })

export const thrown: Error = new Error('the cause')

/** Every way in which a transform breaks, and the message of the cause. */
export const failures: readonly (readonly [what: string, create: () => BodyTransform, cause: string])[] = [
  [
    'throws',
    () =>
      atBad(() => {
        throw thrown
      }),
    'the cause',
  ],
  ['calls back with an error', () => atBad((_chunk, done) => done(thrown)), 'the cause'],
  [
    'is destroyed with an error',
    () =>
      atBad(function () {
        this.destroy(thrown)
      }),
    'the cause',
  ],
  [
    'is destroyed without an error',
    () =>
      atBad(function () {
        this.destroy()
      }),
    'a stream was closed before its end',
  ],
  [
    'emits an error',
    () =>
      atBad(function () {
        this.emit('error', thrown)
      }),
    'the cause',
  ],
  [
    'rejects',
    () =>
      Duplex.from(async function* (source: AsyncIterable<Buffer>) {
        for await (const chunk of source) {
          if (chunk.toString().includes('bad')) throw thrown
          yield chunk
        }
      }),
    'the cause',
  ],
  [
    'is async and rejects',
    () =>
      new Transform({
        async transform(chunk: Buffer, _encoding, done) {
          await Promise.resolve()
          if (chunk.includes('bad')) throw thrown
          done(null, chunk)
        },
      }),
    'the cause',
  ],
  [
    'rejects with no error',
    () =>
      new Transform({
        async transform(chunk: Buffer, _encoding, done) {
          if (chunk.includes('bad')) throw 'a string'
          done(null, chunk)
        },
      }),
    'a value was thrown that is not an error',
  ],
  [
    'emits a number',
    () =>
      new Transform({
        readableObjectMode: true,
        transform: (chunk: Buffer, _encoding, done) => done(null, chunk.includes('bad') ? 7 : chunk),
      }),
    'a body consists of bytes or strings, got a number',
  ],
  [
    'emits an object',
    () =>
      new Transform({
        readableObjectMode: true,
        transform: (chunk: Buffer, _encoding, done) => done(null, chunk.includes('bad') ? { x: 1 } : chunk),
      }),
    'a body consists of bytes or strings, got an object',
  ],
  ['emits a number, though not in object mode', () => atBad((_chunk, done) => done(null, 7)), ''],
  [
    'of the web throws',
    () =>
      webAtBad(() => {
        throw thrown
      }),
    'the cause',
  ],
  [
    'of the web throws no error',
    () =>
      webAtBad(() => {
        throw 'a string'
      }),
    'a value was thrown that is not an error',
  ],
  ['of the web fails', () => webAtBad((controller) => controller.error(thrown)), 'the cause'],
  [
    'of the web is aborted',
    () => webAtBad((controller) => controller.error(AbortSignal.abort().reason)),
    'This operation was aborted',
  ],
  [
    'of the web rejects',
    () =>
      new TransformStream({
        transform: async (chunk: Uint8Array, controller) => {
          await Promise.resolve()
          if (Buffer.from(chunk).includes('bad')) throw thrown
          controller.enqueue(chunk)
        },
      }),
    'the cause',
  ],
  ['of the web emits null', () => webAtBad((controller) => controller.enqueue(null)), 'a chunk is null'],
  [
    'of the web emits undefined',
    () => webAtBad((controller) => controller.enqueue(undefined)),
    'a chunk is undefined',
  ],
  [
    'of the web emits a number',
    () => webAtBad((controller) => controller.enqueue(7)),
    'a body consists of bytes or strings, got a number',
  ],
  [
    'of the web is a pair whose readable fails',
    () => {
      let fail!: (reason: unknown) => void
      const readable = new ReadableStream({
        start: (controller) => void (fail = (reason) => controller.error(reason)),
        type: undefined as never,
      })
      return { readable, writable: new WritableStream({ write: () => fail(thrown) }) }
    },
    'the cause',
  ],
]
