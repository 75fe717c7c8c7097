type Free = (memory: ArrayBuffer) => void

let free: Free | undefined

/** Gives the memory of a chunk back to the system, instead of leaving it to a collection. The chunk is empty then. */
export function freeMemory({ buffer }: Buffer): void {
  free ??= byTransfer() ?? byMessage()
  free(buffer as ArrayBuffer)
}

/** Moves the memory into an empty ArrayBuffer, from Node 22 on. */
function byTransfer(): Free | undefined {
  const { transfer } = ArrayBuffer.prototype as { transfer?: (length: number) => unknown }
  return transfer && ((memory) => void transfer.call(memory, 0))
}

/* c8 ignore start -- coverage is measured on each version, and only Node 20 needs this */
/** Sends the memory to a closed port, which discards it, and keeps no process alive. */
function byMessage(): Free {
  // The global one may be missing: some test runners delete it.
  const { MessageChannel } = process.getBuiltinModule('node:worker_threads')
  const { port1 } = new MessageChannel()
  port1.close()
  return (memory) => port1.postMessage(undefined, [memory])
}
/* c8 ignore stop */
