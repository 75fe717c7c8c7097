import { areSocketsUntouched, isSocketUntouched } from '../connection/untouched-socket.js'
import { OutgoingMessage, ServerResponse } from '../http.js'
import { untouchedMethods } from '../untouched-methods.js'

/** The methods that pass a chunk on to the socket. */
const hasNodesMethods = untouchedMethods(OutgoingMessage.prototype, {
  write: 'write_(this, chunk,',
  end: 'write_(this, chunk,',
  _send: 'this._writeRaw(',
  _writeRaw: 'conn._httpMessage === this',
})

/**
 * Tells whether a response reaches the kernel through Node's own methods alone. A method that replaces one of them
 * may keep the chunks, and so may a stream that is not a socket.
 */
export function isUntouched(res: ServerResponse): boolean {
  const { socket } = res
  return hasNodesMethods(res) && (socket === null ? areSocketsUntouched() : isSocketUntouched(socket))
}

/** Tells whether Node's own method alone writes the head of a response. */
export const isHeadUntouched: (res: ServerResponse) => boolean = untouchedMethods(ServerResponse.prototype, {
  writeHead: "ERR_HTTP_HEADERS_SENT('write')",
})
