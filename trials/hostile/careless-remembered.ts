import type { CarelessCase, ChainName } from './careless-cases.js'
import type { Client } from './careless-clients.js'
import type { Step } from './careless-handlers.js'

function remembered(
  chain: readonly ChainName[],
  steps: readonly Step[],
  client: Partial<Client> & Pick<Client, 'steps'>,
): CarelessCase {
  const whole: Client = { framing: 'Content-Length', size: 70_000, isBehind: false, ...client }
  return { seed: 0, host: 'bare http', attach: false, chain, steps, client: whole }
}

const halfOfIt: Client['steps'] = [{ does: 'send', bytes: 42_000 }]

/** The simplest cases of what has once gone wrong; they run before the random ones. */
export const rememberedCases: readonly CarelessCase[] = [
  // A stream under way, behind it a body that is refused, and a client that leaves.
  remembered(['maxBytes'], [{ act: 'res.end()', at: 'at once' }], {
    size: 1_500_000,
    isBehind: true,
    steps: [{ does: 'send', bytes: 1000 }, { does: 'wait', ms: 20 }, { does: 'half-close' }],
  }),
  // A body that passes its limit when the application has ended its side of the connection.
  remembered(['maxBytes'], [{ act: 'req.socket.end()', at: 'first byte' }], {
    framing: 'chunked',
    size: 1_500_000,
    steps: [
      { does: 'send', bytes: 730_000 },
      { does: 'wait', ms: 20 },
    ],
  }),
  // A reader that stops in the middle, and a client that leaves a body unfinished.
  remembered(['bodyCache'], [{ act: 'read half', at: 'at once' }], { steps: halfOfIt }),
  remembered(['bodyCache'], [{ act: 'iterate and break', at: 'at once' }], { steps: halfOfIt }),
  remembered(['bodyCache'], [{ act: 'open a stream of it', at: 'at once' }], { steps: halfOfIt }),
  // Promises that nothing awaits yet when the client leaves, or when the response ends.
  remembered(['bodyCache'], [{ act: 'read it by an accessor, unawaited', at: 'at once' }], {
    steps: halfOfIt,
  }),
  remembered(
    ['bodyCache'],
    [
      { act: 'await it late', at: 'at once' },
      { act: 'res.end()', at: 'at once' },
    ],
    { steps: halfOfIt },
  ),
  // An upload that the application gives up.
  remembered(
    ['bodyCache'],
    [
      { act: 'read it all', at: 'at once' },
      { act: 'req.destroy(error)', at: 3 },
    ],
    { steps: [...halfOfIt, { does: 'wait', ms: 20 }] },
  ),
]
