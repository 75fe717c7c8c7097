import { RawClient } from '../../test/support/clients/raw-client.js'
import { closeServers } from '../../test/support/servers/servers.js'
import { until } from '../../test/support/time/until.js'
import type { Failures } from './failures.js'
import { inParallel } from './in-parallel.js'
import { kindOf, type MishapLog, underWay } from './mishap-log.js'
import { Progress } from './progress.js'
import { hostileResponses } from './response-catalog.js'
import { ask, hostileRequest, innocentRequest, type Seen, staysOpen } from './response-client.js'
import { differenceOf } from './response-differences.js'
import type { HostileResponse } from './response-entry.js'
import { type Front, fronts, type Lane, startLane } from './response-lanes.js'
import { secureResponses } from './response-tls.js'
import { type Transport, transports } from './response-transports.js'
import { HostileUpstream, LAST, SPOILED } from './response-upstream.js'
import { delayOf, faultOf, innocentFault, isBroken, looseFaultOf } from './response-verdict.js'

const METHODS = ['GET', 'HEAD', 'POST']
const EXAMPLES = 6
/** After this much silence a proxy gives its upstream up, where that is what a case is about. */
const SILENCE_MS = 500
const SILENT_AT_ONCE = 8
const WATCHDOG_MS = 20_000

/** What is sent, and over what. */
export interface Catalog {
  readonly entries: readonly HostileResponse[]
  readonly isSecure: boolean
}

const inClear: Catalog = { entries: hostileResponses, isSecure: false }

/** Sends every hostile response through the proxy; an innocent request behind each gets what belongs to it. */
export class HostileResponses {
  private readonly log: MishapLog
  private readonly failures: Failures
  private readonly warnings: string[] = []
  private readonly progress = new Progress('hostile responses')
  private catalog = inClear
  private cases = 0
  private serial = 0

  constructor(log: MishapLog, failures: Failures) {
    this.log = log
    this.failures = failures
    process.on('warning', ({ message }) => void this.warnings.push(message))
  }

  async run(transport: Transport, every: number, catalog: Catalog = inClear): Promise<number> {
    this.catalog = catalog
    const entries = catalog.entries.filter((_entry, index) => index % every === 0)
    const before = resources()
    // At once, as a foreign transport waits for its timeouts where ours knows better.
    await inParallel(fronts.length, fronts, (front) => this.runFront(transport, front, entries))
    await closeServers()
    await this.expectNothingLeft(before)
    return this.cases
  }

  /** The same with what an upstream may do beneath HTTP, over one transport after the other. */
  async runSecure(names: readonly string[]): Promise<number> {
    for (const name of names) {
      const transport = transports[name]
      if (transport !== undefined) await this.run(transport, 1, { entries: secureResponses, isSecure: true })
    }
    return this.cases
  }

  private async runFront(
    transport: Transport,
    front: Front,
    entries: readonly HostileResponse[],
  ): Promise<void> {
    const lane = await startLane(transport, front, await this.upstream())
    const loud = entries.filter(({ isSilent }) => isSilent !== true)
    for (const [index, one] of loud.entries()) {
      await this.runMethods(one, lane)
      this.progress.tell(lane.name, index, loud.length)
    }
    await this.end(lane)
    const silent = entries.filter(({ isSilent }) => isSilent === true)
    await inParallel(SILENT_AT_ONCE, silent, (one) => this.runSilent(one, transport, front))
  }

  private upstream(): Promise<HostileUpstream> {
    return new HostileUpstream(this.catalog).start()
  }

  /** On a proxy of its own, as the timeouts take their time. */
  private async runSilent(one: HostileResponse, transport: Transport, front: Front): Promise<void> {
    const lane = await startLane(transport, front, await this.upstream(), SILENCE_MS)
    await this.runMethods(one, lane)
    await this.end(lane)
  }

  private async runMethods(one: HostileResponse, lane: Lane): Promise<void> {
    for (const method of METHODS) {
      // An upgrade has no other method, and goes nowhere without `attach`.
      if (lane.transport.isForeign && differenceOf('undici', one.name)?.isEndless === true) continue
      if (one.upgrade !== undefined && (method !== 'GET' || !lane.front.attaches)) continue
      const where = `${lane.name}; ${method}; ${one.name}`
      await underWay.run(where, () => this.judge(one, method, lane, where))
      for (const mishap of this.log.take())
        this.note(kindOf(mishap), (mishap.of as string | undefined) ?? where)
      for (const warning of this.warnings.splice(0)) this.note(`a warning: ${warning}`, where)
    }
  }

  private async judge(one: HostileResponse, method: string, lane: Lane, where: string): Promise<void> {
    const { upstream } = lane
    this.cases += 1
    if (one.moment === 'connected') await this.retireConnection(lane)
    upstream.begin(one)
    const client = await RawClient.connect(lane.port)
    const request = hostileRequest(method, `/hostile/${this.serial++}`, one, lane.front.compresses === true)
    const seen = await ask(client, request)
    const late = one.moment === 'idle' ? await inTime(upstream.speakLate()) : undefined
    const found = [
      this.victimFault(one, method, lane, seen),
      late && `the connection to the upstream stays open: ${late}`,
      prefixed('an innocent request after it', await this.innocent(lane, one)),
      prefixed('the next request of its client', await this.next(client, one, seen)),
      seen.kind === 'answer' && client.pending.length > 0 ? 'bytes long behind the answer' : undefined,
      ...upstreamFaults(lane),
    ]
    client.destroy()
    for (const fault of found) if (fault !== undefined) this.note(fault, where)
  }

  private victimFault(one: HostileResponse, method: string, lane: Lane, seen: Seen): string | undefined {
    const fault = faultOf(one, method, seen)
    if (!lane.transport.isForeign) return fault ?? delayOf(one, seen)
    if (fault === undefined) return undefined
    const loose = looseFaultOf(one, method, seen)
    if (loose !== undefined) return loose
    return differenceOf('undici', one.name) === undefined ? `an unlisted difference: ${fault}` : undefined
  }

  /** Has the upstream close its connection, so that the next request opens one. */
  private async retireConnection(lane: Lane): Promise<void> {
    const client = await RawClient.connect(lane.port)
    await ask(client, innocentRequest(LAST))
    client.destroy()
    await inTime(lane.upstream.idle())
  }

  /** Another client's request. */
  private async innocent(lane: Lane, one: HostileResponse): Promise<string | undefined> {
    const client = await RawClient.connect(lane.port)
    const mayFail = lane.transport.isForeign && differenceOf('undici', one.name)?.failsNext === true
    const fault = await this.askInnocent(client, mayFail)
    client.destroy()
    return fault
  }

  /** On the connection of the client that has got the hostile answer. */
  private async next(client: RawClient, one: HostileResponse, seen: Seen): Promise<string | undefined> {
    return staysOpen(seen) && one.upload === undefined ? this.askInnocent(client) : undefined
  }

  private async askInnocent(client: RawClient, mayFail = false): Promise<string | undefined> {
    const path = `/innocent/${this.serial++}`
    const seen = await ask(client, innocentRequest(path))
    return mayFail && isBroken(seen) ? undefined : innocentFault(path, seen)
  }

  private async end(lane: Lane): Promise<void> {
    await lane.close()
    const late = await inTime(lane.upstream.idle())
    if (late !== undefined) this.note(`a connection is left behind: ${late}`, lane.name)
  }

  private async expectNothingLeft(before: string): Promise<void> {
    const isClean = await until(() => resources() === before).catch(() => false)
    if (!isClean) this.note(`left behind: ${resources()}`, `before: ${before}`)
  }

  private note(fault: string, where: string): void {
    const kind = fault.replace(/\d{6,}/g, 'N')
    this.failures.count(kind)
    if (this.failures.examplesOf(kind) < EXAMPLES) this.failures.example(kind, where)
  }
}

/** What the upstream has to say against its client. Another's pool is not ours to judge. */
function upstreamFaults({ upstream, transport }: Lane): string[] {
  const faults = upstream.faults.splice(0)
  return transport.isForeign ? faults.filter((fault) => fault !== SPOILED) : faults
}

/** The sockets, servers and timers that keep this process alive. */
function resources(): string {
  return process
    .getActiveResourcesInfo()
    .filter((kind) => /TCP|TLS|Timeout/.test(kind))
    .toSorted()
    .join()
}

function prefixed(where: string, fault: string | undefined): string | undefined {
  return fault === undefined ? undefined : `${where}: ${fault}`
}

/** Waits for it, but not for ever: gives a fault where that would have been needed. */
async function inTime(promise: Promise<void>): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(resolve, WATCHDOG_MS, 'nothing has closed it')
  })
  try {
    return await Promise.race([promise.then(() => undefined), late])
  } finally {
    clearTimeout(timer)
  }
}
