import { timers } from '../../../node/timers.js'
import { runOutside } from './outside.js'

/** An object to be freed once all sockets have been read again. */
export interface Reading {
  free(): void
}

let readNow: Reading[] = []
let readBefore: Reading[] = []
let isTurning = false

/**
 * Calls `free` once all sockets have been read again: this turn of the event loop ends before that, the next one
 * after it. All connections that were read in one turn share it.
 */
export function freeAfterPoll(reading: Reading): void {
  readNow.push(reading)
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
  for (const reading of free) reading.free()
}
