import { Socket } from 'node:net'
import { untouchedMethods } from '../untouched-methods.js'

/** The methods that pass a chunk on to the kernel. */
const hasNodesMethods = untouchedMethods(Socket.prototype, {
  write: '_write(this, chunk, encoding, cb)',
  _write: 'this._writeGeneric(false, ',
  _writev: 'this._writeGeneric(true, ',
  _writeGeneric: '_pendingData',
})

/**
 * Tells whether a stream is a socket that reaches the kernel through Node's own methods alone. A method that replaces
 * one of them may keep the chunks, and so may a stream that is not a socket.
 */
export function isSocketUntouched(socket: object): boolean {
  return socket instanceof Socket && hasNodesMethods(socket)
}

/** Tells whether the class of all sockets has Node's own methods. */
export function areSocketsUntouched(): boolean {
  return hasNodesMethods(Socket.prototype)
}
