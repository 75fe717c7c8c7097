import { Readable, type Writable } from 'node:stream'
import { described } from '../../shared/described.js'
import { containTransform } from './contained-transform.js'
import { WebInput, WebOutput, type WebReadable, type WebWritable } from './web-streams.js'

/** A transform of the web, such as a `TransformStream`. */
export interface WebTransform {
  readonly readable: WebReadable
  readonly writable: WebWritable
}

/** A transform through which a body can be piped: a Duplex of Node or of a package, or a pair of web streams. */
export type BodyTransform = NodeJS.ReadWriteStream | WebTransform

/** The two ends of a transform: bytes go into one of them, and come out of the other. */
export interface Stage {
  readonly input: Writable
  readonly output: Readable
}

/** The transforms that have a body. A second body would be mixed with the first one, or come too late. */
const taken = new WeakSet<object>()

/** Returns the ends of a transform. Throws a TypeError for anything else, and for a transform that is in use. */
export function stageOf(transform: unknown): Stage {
  if (isNodeTransform(transform)) {
    take(transform)
    containTransform(transform as unknown as Readable)
    return { input: transform as unknown as Writable, output: transform as unknown as Readable }
  }
  if (!isWebTransform(transform)) throw notATransform(transform)
  take(transform)
  return { input: new WebInput(transform.writable), output: new WebOutput(transform.readable) }
}

/** Destroys streams of a hook that get no body, or give none. Their errors are ignored, earlier ones included. */
export function drop(...streams: readonly (Readable | Writable)[]): void {
  for (const stream of new Set(streams)) stream.on('error', ignore).destroy?.()
}

/** Returns the bytes of a chunk that came out of a transform. */
export function bytesOf(chunk: unknown): Buffer {
  if (Buffer.isBuffer(chunk)) return chunk
  if (typeof chunk === 'string') return Buffer.from(chunk)
  if (ArrayBuffer.isView(chunk)) return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
  throw new TypeError(`a body consists of bytes or strings, got ${described(chunk)}`)
}

/** Creates a stream of bytes that are in memory. */
export function readableOf(bytes: Buffer): Readable {
  return Readable.from(bytes.length === 0 ? [] : [bytes], { objectMode: false })
}

/** Recognizes a stream of Node, or of a package such as `readable-stream`, that can be read. */
export function isNodeReadable(value: unknown): value is Readable {
  const { pipe, read, on } = (value ?? {}) as Partial<Readable>
  // The oldest kind of stream, which has no `read`, emits its bytes even if it has no listener.
  return typeof pipe === 'function' && typeof read === 'function' && typeof on === 'function'
}

export function isWebReadable(value: unknown): value is WebReadable {
  return typeof (value as Partial<WebReadable> | null | undefined)?.getReader === 'function'
}

function isNodeTransform(value: unknown): value is NodeJS.ReadWriteStream {
  return isNodeReadable(value) && typeof (value as unknown as Partial<Writable>).write === 'function'
}

function isWebTransform(value: unknown): value is WebTransform {
  const { readable, writable } = (value ?? {}) as Partial<WebTransform>
  return isWebReadable(readable) && typeof writable?.getWriter === 'function'
}

function take(transform: object): void {
  const { destroyed, writableEnded, readableEnded } = transform as Partial<Writable & Readable>
  if (taken.has(transform)) throw new TypeError('this transform is in use: create one for each body')
  if (destroyed === true || writableEnded === true || readableEnded === true) {
    if (isNodeTransform(transform)) drop(transform as unknown as Readable)
    throw new TypeError('this transform has ended before')
  }
  taken.add(transform)
}

function notATransform(value: unknown): TypeError {
  return new TypeError(
    `pipeThrough takes a Duplex, or { readable, writable } as a TransformStream has them, got ${described(value)}`,
  )
}

function ignore(): void {}
