import { accessorTimes } from './accessor-times-run.js'
import { Careless } from './careless.js'
import { Failures } from './failures.js'
import { Framings } from './framing-run.js'
import { countListeners } from './listeners-run.js'
import { MishapLog } from './mishap-log.js'
import { compareWithNode } from './response-node.js'
import { HostileResponses } from './response-run.js'
import { transports } from './response-transports.js'
import { Sequences } from './sequence-run.js'
import { Tunnels } from './tunnel-run.js'

/** How much is run. */
export interface Extent {
  readonly seed: number
  readonly isSample: boolean
}

export type Part = (log: MishapLog, failures: Failures, extent: Extent) => Promise<number>

const hostNames = ['bare http', 'Express 5', 'Express 4']

/** What runs in a process of its own. Each gives how many cases it has run. */
export const parts: Readonly<Record<string, Part>> = {
  'sequences on bare http': sequencesOn('bare http'),
  'sequences on Express 5': sequencesOn('Express 5'),
  'sequences on Express 4': sequencesOn('Express 4'),
  'accepted upgrades': (log, failures, { seed, isSample }) =>
    new Tunnels(log, failures).run(isSample ? ['bare http'] : hostNames, seed, isSample ? 9 : 1),
  'listeners of one connection': (log, failures, { seed, isSample }) =>
    countListeners(log, failures, isSample ? ['bare http'] : hostNames, seed),
  'framings and heads': (log, failures, { isSample }) => new Framings(log, failures).run(isSample ? 3 : 1),
  'hostile responses': responsesOver('built-in', 12),
  'hostile responses over undici 7': responsesOver('undici 7', 80),
  'hostile responses over undici 8': responsesOver('undici 8', 80),
  'hostile responses over TLS': (log, failures, { isSample }) =>
    new HostileResponses(log, failures).runSecure(isSample ? ['built-in'] : Object.keys(transports)),
  "hostile responses and Node's client": (_log, failures, { isSample }) =>
    isSample ? Promise.resolve(0) : compareWithNode(failures),
  'careless handlers': (log, failures, { seed, isSample }) =>
    new Careless(log, failures).run({
      seed,
      ...(isSample ? { cases: 200, simplified: 0 } : { cases: 5000, simplified: 4 }),
    }),
}

/** What runs with nothing beside it, as it measures time. A sample leaves it out: a test of its own runs it. */
export const partsAlone: Readonly<Record<string, Part>> = { 'accessor times': accessorTimes }

function sequencesOn(host: string): Part {
  return (log, failures, { seed, isSample }) => new Sequences(log, failures).run({ host, seed, isSample })
}

/** A sample has one entry of so many. A transport that does not run on this Node has no cases. */
function responsesOver(name: string, sampled: number): Part {
  return async (log, failures, { isSample }) => {
    const transport = transports[name]
    return transport === undefined
      ? 0
      : new HostileResponses(log, failures).run(transport, isSample ? sampled : 1)
  }
}

/** Runs one part, prints what it found, and returns true where that is nothing. */
export async function runPart(name: string, extent: Extent): Promise<boolean> {
  const log = new MishapLog()
  log.watch()
  const failures = new Failures()
  const began = performance.now()
  const cases = await { ...parts, ...partsAlone }[name]!(log, failures, extent)
  const seconds = Math.round((performance.now() - began) / 1000)
  const lines = failures.lines()
  console.log([`${name}: ${cases} cases in ${seconds} s, ${failures.total} failures`, ...lines].join('\n'))
  return failures.total === 0
}
