import { closeServers } from '../../test/support/servers/servers.js'
import type { Failures } from './failures.js'
import { inParallel } from './in-parallel.js'
import { kindOf, type MishapLog, underWay } from './mishap-log.js'
import { Progress } from './progress.js'
import { type Mounted, startVariant } from './sequence-servers.js'
import { mustBeAccepted, type TunnelCase, tunnelCases } from './tunnel-cases.js'
import { LATER, tryTunnel, type TunnelSeen } from './tunnel-client.js'

const AT_ONCE = 48
const PATIENCE_MS = 1000
const TRIES = 3
const EXAMPLES = 3

const variants: readonly (readonly Mounted[])[] = [
  ['attach'],
  ['attach', 'maxBytes', 'bodyCache', 'autoFlush'],
  ['attach', 'passthroughProxy'],
]

/** Upgrades that the application, or an upstream, accepts: alone, and behind other messages. */
export class Tunnels {
  private readonly log: MishapLog
  private readonly failures: Failures
  private readonly progress = new Progress('accepted upgrades')

  constructor(log: MishapLog, failures: Failures) {
    this.log = log
    this.failures = failures
  }

  async run(hosts: readonly string[], seed: number, every: number): Promise<number> {
    const cases = tunnelCases(seed).filter((_one, index) => index % every === 0)
    let count = 0
    for (const host of hosts) {
      for (const mounted of variants) {
        await this.runVariant(cases, host, mounted)
        count += cases.length
      }
    }
    return count
  }

  private async runVariant(
    cases: readonly TunnelCase[],
    host: string,
    mounted: readonly Mounted[],
  ): Promise<void> {
    const port = await startVariant(host, mounted, true)
    const suspects: TunnelCase[] = []
    let done = 0
    await inParallel(AT_ONCE, cases, async (one) => {
      const seen = await underWay.run(one, () => tryTunnel(port, one, PATIENCE_MS))
      if (faultOf(one, seen) !== undefined) suspects.push(one)
      this.progress.tell(`${host}, ${mounted.join(' + ')}`, ++done, cases.length)
    })
    for (const { event, error } of this.log.take())
      this.failures.count(kindOf({ event, error, of: undefined }))
    await inParallel(4, suspects, (one) => this.judge(one, port, `${host}, ${mounted.join(' + ')}`))
    await closeServers()
  }

  private async judge(one: TunnelCase, port: number, where: string): Promise<void> {
    let fault: string | undefined
    let seen: TunnelSeen | undefined
    for (let count = 0; count < TRIES; count += 1) {
      seen = await tryTunnel(port, one, PATIENCE_MS)
      fault = faultOf(one, seen)
      if (fault === undefined) return
    }
    this.failures.count(fault!)
    if (this.failures.examplesOf(fault!) < EXAMPLES)
      this.failures.example(fault!, `${where}: ${describe(one)}: ${JSON.stringify(seen).slice(0, 300)}`)
  }
}

/** What is wrong with a conversation around an upgrade, in a few words. */
function faultOf(one: TunnelCase, seen: TunnelSeen): string | undefined {
  if (!seen.hasEnded) return 'the connection stays open'
  const order = disorderOf(one, seen)
  if (order !== undefined) return order
  if (seen.accepted === undefined) return mustBeAccepted(one) ? 'an upgrade was not accepted' : undefined
  if (seen.accepted !== one.id) return 'another upgrade was accepted'
  if (seen.answers.length !== one.before.length) return 'an upgrade was accepted before its turn'
  return seen.echoed === one.early + LATER ? undefined : 'the tunnel has lost or added bytes'
}

function disorderOf({ ids, id }: TunnelCase, { answers, accepted }: TunnelSeen): string | undefined {
  const expected = accepted === undefined ? [...ids, id, 'hidden'] : ids
  const wrong = answers.some((answer, place) => answer.id !== undefined && answer.id !== expected[place])
  return wrong ? 'an answer out of order' : undefined
}

function describe({ before, waits, early }: TunnelCase): string {
  const names = before.map(({ name }) => name).join(' | ')
  return `${names || 'nothing'} before it, ${waits ? 'after the answers' : 'in one packet'}, ${early.length} bytes behind it`
}
