import { Readable } from 'node:stream'

/** Makes a body of so many pieces of so many bytes, each of them another byte. */
export function drippedBy(pieces: number, bytes: number): () => Readable {
  return () => Readable.from(piecesOf(pieces, bytes), { objectMode: false, highWaterMark: 65_536 })
}

function* piecesOf(pieces: number, bytes: number): Generator<Buffer> {
  for (let piece = 0; piece < pieces; piece += 1) yield Buffer.alloc(bytes, 65 + (piece % 26))
}
