/** The number of requests that wait for a connection to one origin. */
export interface Queue {
  waiting: number
}

/** The number of queues that are remembered; a target function may return any number of origins. */
const MAX_QUEUES = 256

/** The queues of one upstream, by origin. */
export class Queues {
  private readonly known = new Map<string, Queue>()

  of(origin: string): Queue {
    const known = this.known.get(origin)
    if (known !== undefined) return known
    if (this.known.size >= MAX_QUEUES) this.forgetEmpty()
    const queue = { waiting: 0 }
    this.known.set(origin, queue)
    return queue
  }

  private forgetEmpty(): void {
    for (const [origin, { waiting }] of this.known) {
      if (waiting === 0) this.known.delete(origin)
    }
  }
}
