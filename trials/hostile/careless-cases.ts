import type { Client, ClientStep } from './careless-clients.js'
import { acts, type Moment, type Step } from './careless-handlers.js'
import { Random } from './random.js'

export const chainNames = ['maxBytes', 'bodyCache', 'autoFlush', 'passthroughProxy'] as const

export type ChainName = (typeof chainNames)[number]

/** One careless handler and one random client. */
export interface CarelessCase {
  readonly seed: number
  readonly host: string
  readonly attach: boolean
  readonly chain: readonly ChainName[]
  readonly steps: readonly Step[]
  readonly client: Client
}

const hostNames = ['bare http', 'Express 5', 'Express 4']

export function carelessCase(seed: number): CarelessCase {
  const random = new Random(seed)
  return {
    seed,
    host: random.oneOf(hostNames),
    attach: random.chance(0.3),
    chain: chainFrom(random),
    steps: Array.from({ length: 1 + random.below(4) }, () => stepFrom(random)),
    client: clientFrom(random),
  }
}

function chainFrom(random: Random): ChainName[] {
  return random.chance(0.6) ? [random.oneOf(chainNames)] : chainNames.filter(() => random.chance(0.7))
}

const moments: readonly Moment[] = ['at once', 'at once', 'next turn', 'first byte', 3, 15]

function stepFrom(random: Random): Step {
  return { act: random.oneOf(Object.keys(acts)), at: random.oneOf(moments) }
}

const sizes = [0, 10, 2000, 70_000, 300_000, 1_500_000]

function clientFrom(random: Random): Client {
  const size = random.oneOf(sizes)
  return {
    framing: random.oneOf(['Content-Length', 'chunked']),
    size,
    isBehind: random.chance(0.2),
    steps: Array.from({ length: 1 + random.below(6) }, () => clientStepFrom(random, size)),
  }
}

function clientStepFrom(random: Random, size: number): ClientStep {
  const roll = random.below(12)
  if (roll < 3) return { does: 'send', bytes: 1 + random.below(size) }
  if (roll < 6) return { does: 'wait', ms: random.below(20) }
  if (roll < 8) return { does: 'finish the body' }
  return random.oneOf<ClientStep>([
    { does: 'send another request' },
    { does: 'half-close' },
    { does: 'reset' },
    { does: 'leave' },
  ])
}
