import type { RawClient } from '../support/clients/raw-client.js'
import type { ScriptedUpstream } from '../support/servers/scripted-upstream.js'
import { until } from '../support/time/until.js'

/** The upstream's end of the connection on which the next request comes. */
export class Ends {
  private readonly upstream: ScriptedUpstream
  private known: RawClient[] = []
  private active: RawClient | undefined

  constructor(upstream: ScriptedUpstream) {
    this.upstream = upstream
  }

  async next(): Promise<RawClient> {
    this.active = await until(() => {
      this.known.push(...this.upstream.takeNew())
      return this.known.find(({ pending }) => pending.length > 0)
    })
    return this.active
  }

  done(): void {
    this.active = undefined
  }

  /** Cuts the connection on which a case that failed may have left something. */
  forgetUnfinished(): void {
    this.active?.destroy()
    this.known = this.known.filter((connection) => connection !== this.active)
  }
}
