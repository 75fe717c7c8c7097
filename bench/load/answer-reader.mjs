// Reads one HTTP/1.1 answer after the other from the bytes of a connection. Cheap, as it shares its core with the upstream.

const END_OF_HEAD = Buffer.from('\r\n\r\n')

export class AnswerReader {
  /** `onAnswer({ status, length, head, body })` is called for each; `body` is kept where `keepBody` says so. */
  constructor(onAnswer, { keepBody = false, onBody } = {}) {
    this.onAnswer = onAnswer
    this.keepBody = keepBody
    this.onBody = onBody
    this.rest = undefined
    this.begin()
  }

  begin() {
    this.head = undefined
    this.left = 0
    this.chunked = false
    this.length = 0
    this.pieces = []
  }

  read(chunk) {
    let bytes = this.rest ? Buffer.concat([this.rest, chunk]) : chunk
    this.rest = undefined
    while (bytes.length > 0) {
      const taken = this.head === undefined ? this.readHead(bytes) : this.readBody(bytes)
      if (taken === 0) {
        this.rest = bytes
        return
      }
      bytes = bytes.subarray(taken)
    }
  }

  readHead(bytes) {
    const end = bytes.indexOf(END_OF_HEAD)
    if (end === -1) return 0
    this.head = bytes.latin1Slice(0, end)
    this.status = Number(this.head.slice(9, 12))
    const length = /\r\ncontent-length: *(\d+)/i.exec(this.head)
    this.chunked = length === null && /\r\ntransfer-encoding: *chunked/i.test(this.head)
    this.left = length === null ? 0 : Number(length[1])
    if (this.left === 0 && !this.chunked) this.finish()
    return end + 4
  }

  readBody(bytes) {
    return this.chunked ? this.readChunk(bytes) : this.take(bytes)
  }

  take(bytes) {
    const piece = bytes.length <= this.left ? bytes : bytes.subarray(0, this.left)
    this.left -= piece.length
    this.deliver(piece)
    if (this.left === 0 && !this.chunked) this.finish()
    return piece.length
  }

  /** In a chunk `left` counts what it still has, the CRLF behind it included. */
  readChunk(bytes) {
    if (this.left > 2) {
      const piece = bytes.subarray(0, Math.min(bytes.length, this.left - 2))
      this.left -= piece.length
      this.deliver(piece)
      return piece.length
    }
    if (this.left > 0) {
      const skipped = Math.min(bytes.length, this.left)
      this.left -= skipped
      return skipped
    }
    return this.readSize(bytes)
  }

  readSize(bytes) {
    const end = bytes.indexOf('\r\n')
    if (end === -1) return 0
    const size = Number.parseInt(bytes.latin1Slice(0, end), 16)
    if (size > 0) {
      this.left = size + 2
      return end + 2
    }
    // The load expects no trailers: the last chunk has an empty line behind it.
    if (bytes.length < end + 4) return 0
    this.finish()
    return end + 4
  }

  deliver(piece) {
    this.length += piece.length
    if (this.keepBody) this.pieces.push(piece)
    this.onBody?.(piece)
  }

  finish() {
    const { status, length, head, pieces } = this
    this.begin()
    const body = pieces.length === 1 ? pieces[0] : Buffer.concat(pieces)
    this.onAnswer({ status, length, head, body })
  }
}
