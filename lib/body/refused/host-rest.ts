import type { Rest } from './rest.js'

/** What a host still delivers of a refused body. There is no connection to close: it only must not be read. */
export class HostRest implements Rest {
  closeAfterAnswer(): void {}

  discard(): boolean {
    return false
  }

  answered(): void {}
}
