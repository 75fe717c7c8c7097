import { expect } from 'chai'
import { ChunkDecoder } from '../../../support/http1/http1-client.js'
import { splits } from '../../../support/http1/parsed-response.js'

interface Decoded {
  body: string
  trailers?: readonly string[]
  left: number
}

function decoded(pieces: readonly string[], maxTrailerBytes = 1000): Decoded {
  const result: Decoded = { body: '', left: 0 }
  const decoder = new ChunkDecoder(
    {
      onBody: (chunk) => {
        result.body += chunk.toString('latin1')
      },
      onEnd: (trailers, last) => {
        result.body += last?.toString('latin1') ?? ''
        result.trailers = trailers
      },
    },
    maxTrailerBytes,
  )
  decoder.begin()
  for (const piece of pieces) {
    const bytes = Buffer.from(piece, 'latin1')
    result.left += bytes.length - decoder.execute(bytes, 0)
  }
  return result
}

const whole: Readonly<Record<string, Decoded>> = {
  '0\r\n\r\n': { body: '', trailers: [], left: 0 },
  '5\r\nhello\r\n0\r\n\r\n': { body: 'hello', trailers: [], left: 0 },
  'B\r\n0\r\n0\r\n0\r\n\r\n\r\n0\r\n\r\n': { body: '0\r\n0\r\n0\r\n\r\n', trailers: [], left: 0 },
  '00a\r\n0123456789\r\n000\r\n\r\n': { body: '0123456789', trailers: [], left: 0 },
  'f\r\n0123456789abcde\r\nF\r\n0123456789abcde\r\n0\r\n\r\n': {
    body: '0123456789abcde0123456789abcde',
    trailers: [],
    left: 0,
  },
  '1; a\t=\tb\r\na\r\n0\r\n\r\n': { body: 'a', trailers: [], left: 0 },
  '1;\r\na\r\n1;b\r\nb\r\n1;b=c;d="e"\r\nc\r\n0;last\r\n\r\n': { body: 'abc', trailers: [], left: 0 },
  '0\r\nA: b\r\nC:\t d \r\n\r\n': { body: '', trailers: ['A', 'b', 'C', 'd'], left: 0 },
}

const malformed: Readonly<Record<string, string>> = {
  'no size': '\r\n',
  'an extension without a size': ';a\r\n',
  'a size with a sign': '+5\r\n',
  'a size with a prefix': '0x5\r\n',
  'a space in front of a size': ' 5\r\n',
  'a space after a size': '5 \r\n',
  'a size that is none': 'g\r\n',
  'a size of 17 digits': '00000000000000005\r\n',
  'a size that cannot be counted': 'ffffffffffffffff\r\n',
  'LF after a size': '5\n',
  'CR after a size': '5\rh',
  'CR CR LF after a size': '5\r\r\n',
  'LF in an extension': '5;a\nb\r\n',
  'NUL in an extension': '5;a\0\r\n',
  'DEL in an extension': '5;a\x7f\r\n',
  'no end of line after data': '2\r\nabc',
  'LF after data': '2\r\nab\n',
  'CR after data': '2\r\nab\rc',
  'a second CR after data': '2\r\nab\r\r\n',
  'a trailer that is none': '0\r\nA\r\n\r\n',
  'a trailer with a space in front of its colon': '0\r\nA : b\r\n\r\n',
  'a folded trailer': '0\r\nA: b\r\n c\r\n\r\n',
  'LF after a trailer': '0\r\nA: b\n\r\n',
  'bytes after the last chunk': '0\r\n0\r\n',
}

describe('the chunk decoder', () => {
  for (const [raw, expected] of Object.entries(whole)) {
    it(`decodes ${JSON.stringify(raw)}, wherever it is cut`, () => {
      for (const pieces of splits(raw))
        expect(decoded(pieces), JSON.stringify(pieces)).to.deep.equal(expected)
    })
  }

  for (const [title, raw] of Object.entries(malformed)) {
    it(`refuses ${title}, wherever it is cut`, () => {
      for (const pieces of splits(raw)) {
        expect(() => decoded(pieces), JSON.stringify(pieces))
          .to.throw(Error)
          .with.property('name', 'MalformedResponse')
      }
    })
  }

  it('limits the extensions of each chunk, but not those of a body, in which each chunk may be signed', () => {
    const chunk = (length: number): string => `1;${'e'.repeat(length)}\r\na\r\n`
    // The CR behind them counts too.
    expect(decoded([chunk(16 * 1024 - 1)]).body).to.equal('a')
    expect(() => decoded([chunk(16 * 1024)])).to.throw('too many chunk extensions')
    const signed = Array.from({ length: 500 }, () => chunk(80))
    expect(decoded([...signed, '0\r\n\r\n']).body).to.equal('a'.repeat(500))
    expect(() => decoded([...signed, chunk(16 * 1024)])).to.throw('too many chunk extensions')
  })

  it('limits the trailers', () => {
    expect(decoded([`0\r\nA: ${'b'.repeat(900)}\r\n\r\n`]).trailers).to.have.length(2)
    expect(() => decoded([`0\r\nA: ${'b'.repeat(1000)}\r\n\r\n`])).to.throw('too large')
  })

  it('copies no data', () => {
    const slices: Buffer[] = []
    const keep = (chunk?: Buffer): number => slices.push(chunk as Buffer)
    const decoder = new ChunkDecoder({ onBody: keep, onEnd: (_trailers, last) => keep(last) }, 100)
    const bytes = Buffer.from('2\r\nab\r\n1\r\nc\r\n0\r\n\r\n')
    decoder.begin()
    decoder.execute(bytes, 0)
    expect(slices.map(String)).to.deep.equal(['ab', 'c'])
    for (const slice of slices) expect(slice.buffer).to.equal(bytes.buffer)
  })

  it('leaves the bytes after the body', () => {
    expect(decoded(['1\r\na\r\n0\r\n\r\nHTTP'])).to.deep.equal({ body: 'a', trailers: [], left: 4 })
  })
})
