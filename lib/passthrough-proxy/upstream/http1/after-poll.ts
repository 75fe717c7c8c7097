import { timers } from '../../../node/timers.js'
import { runOutside } from './outside.js'

/** A connection whose response has been read to its end. */
interface ReadConnection {
  free(): void
}

let readNow: ReadConnection[] = []
let readBefore: ReadConnection[] = []
let isTurning = false

/**
 * Calls `free` once all sockets have been read again: this turn of the event loop ends before that, the next one
 * after it. All connections that were read in one turn share it.
 */
export function freeAfterPoll(connection: ReadConnection): void {
  readNow.push(connection)
  if (!isTurning) runOutside(awaitTurn)
}

function awaitTurn(): void {
  isTurning = true
  timers.setImmediate(turn)
}

function turn(): void {
  const free = readBefore
  readBefore = readNow
  readNow = []
  isTurning = false
  if (readBefore.length > 0) awaitTurn()
  for (const connection of free) connection.free()
}
