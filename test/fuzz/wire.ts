import * as fc from 'fast-check'
import type { RawClient } from '../support/clients/raw-client.js'
import { turns } from '../support/time/turns.js'

/** Where a run of bytes is cut, as fractions of its length, and the number of turns of the event loop after each cut. */
export interface Cuts {
  readonly at: readonly number[]
  readonly turns: number
}

export const cuts: fc.Arbitrary<Cuts> = fc.record({
  at: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 }),
  turns: fc.nat(3),
})

/** The parts between the cuts; none of them is empty. */
export function split(bytes: Buffer, { at }: Cuts): Buffer[] {
  const ends = at.map((fraction) => Math.floor(fraction * bytes.length)).toSorted((a, b) => a - b)
  return [...ends, bytes.length].flatMap((end, index) => {
    const part = bytes.subarray(ends[index - 1] ?? 0, end)
    return part.length === 0 ? [] : [part]
  })
}

/** Writes the parts one by one, so that the other side reads them separately. */
export async function writeInParts(to: RawClient, bytes: Buffer, how: Cuts): Promise<void> {
  for (const part of split(bytes, how)) {
    to.write(part)
    await turns(how.turns)
  }
}

/** How a body is framed. */
export interface Framing {
  readonly chunked: boolean
  readonly chunks: Cuts
  /** What chunk sizes look like, all of which mean the same (RFC 9112 §7.1). */
  readonly size: 'lower' | 'upper' | 'zeros' | 'extension'
}

export const framing: fc.Arbitrary<Framing> = fc.record({
  chunked: fc.boolean(),
  chunks: cuts,
  size: fc.constantFrom('lower', 'upper', 'zeros', 'extension'),
})

const spellings: Record<Framing['size'], (size: string) => string> = {
  lower: (size) => size,
  upper: (size) => size.toUpperCase(),
  zeros: (size) => `000${size}`,
  extension: (size) => `${size};name="a;b"`,
}

/** The line of the head that announces a body, and the body as it follows the head. */
export function framed(body: Buffer, { chunked, chunks, size }: Framing): { line: string; bytes: Buffer } {
  if (!chunked) return { line: `Content-Length: ${body.length}`, bytes: body }
  const parts = split(body, chunks).map((part) =>
    Buffer.concat([
      Buffer.from(`${spellings[size](part.length.toString(16))}\r\n`),
      part,
      Buffer.from('\r\n'),
    ]),
  )
  return { line: 'Transfer-Encoding: chunked', bytes: Buffer.concat([...parts, Buffer.from('0\r\n\r\n')]) }
}

/** Text, so that every reader can return it; no two places of it are alike. */
export function bodyOf(length: number): Buffer {
  const words = Array.from({ length: Math.ceil(length / 8) }, (_, n) => n.toString(36).padStart(7, '.'))
  return Buffer.from(`${words.join(' ')} `).subarray(0, length)
}

export const bodyLength: fc.Arbitrary<number> = fc.oneof(
  fc.nat(20),
  fc.nat(5000),
  fc.integer({ min: 60_000, max: 200_000 }),
)
