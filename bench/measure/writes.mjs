// How often a process hands bytes to its sockets: each of these is one system call, however many pieces it gathers.
import { Socket } from 'node:net'

/** Counts from now on; gives a function that tells the number so far. */
export function countWrites() {
  let count = 0
  for (const name of ['_write', '_writev']) {
    const original = Socket.prototype[name]
    Socket.prototype[name] = function (...args) {
      count++
      return original.apply(this, args)
    }
  }
  return () => count
}
