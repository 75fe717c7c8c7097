import type { Rest } from './rest.js'

/** Discards the bytes of a refused body that a host still delivers. There is no connection to close. */
export class HostRest implements Rest {
  closeAfterAnswer(): void {}

  discard(): boolean {
    return false
  }

  answered(): void {}
}
