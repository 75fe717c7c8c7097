import { ResponseParser } from './http1-client.js'

/** What a response parser reported about some bytes. */
export interface ParsedResponse {
  /** Of each interim response. */
  readonly information: { status: number; lines: string[] }[]
  status?: number
  reason?: string
  lines?: string[]
  body: string
  trailers?: readonly string[]
  /** The lines of a 101. */
  upgraded?: string[]
  /** The number of bytes after the response. */
  left: number
  isOver: boolean
  isKept: boolean
  hint?: number | undefined
}

export interface ParseOptions {
  readonly method?: string
  readonly upgrade?: string
  readonly maxHeadBytes?: number
  /** The connection ends after the last piece. */
  readonly ends?: boolean
}

/** Gives one response to a parser, in these pieces. Throws the error of the parser. */
export function parsed(pieces: readonly (string | Buffer)[], options: ParseOptions = {}): ParsedResponse {
  const { method = 'GET', upgrade, maxHeadBytes = 64 * 1024, ends = false } = options
  const response: ParsedResponse = { information: [], body: '', left: 0, isOver: false, isKept: false }
  const parser = new ResponseParser(
    {
      onInformation: (status, lines) => response.information.push({ status, lines }),
      onHead: (status, reason, lines) => Object.assign(response, { status, reason, lines }),
      onBody: (chunk) => {
        response.body += chunk.toString('latin1')
      },
      onEnd: (trailers, last) => {
        if (response.trailers !== undefined) throw new Error('a second end')
        response.body += last?.toString('latin1') ?? ''
        response.trailers = trailers
      },
      onUpgrade: (lines) => {
        response.upgraded = lines
      },
    },
    maxHeadBytes,
  )
  parser.begin(method, upgrade)
  for (const piece of pieces) {
    const bytes = Buffer.from(piece as string, 'latin1')
    response.left += bytes.length - parser.execute(bytes)
    // The parser must not look at these bytes again: a connection reads into the same buffer.
    bytes.fill('#')
  }
  if (ends) parser.finish()
  return Object.assign(response, {
    isOver: parser.isOver,
    isKept: parser.isKept,
    hint: parser.keepAliveHint,
  })
}

/** Every split of a text into two pieces, and the split into single characters. */
export function* splits(text: string): Generator<string[]> {
  yield [text]
  for (let at = 1; at < text.length; at++) yield [text.slice(0, at), text.slice(at)]
  yield text.split('')
}
