// `npm run test:matrix`: the whole matrix of bodyCache. Prints how many cases passed, and each that did not.
import { closeServers } from '../../test/support/servers/servers.js'
import { allPairs, allSandwiches, type MatrixCase, pairsWith } from './cases.js'
import { consumers } from './consumers.js'
import { knownMisses } from './proxies.js'
import { runMatrix } from './run.js'

// The run counts it as a miss, and goes on.
process.on('uncaughtException', () => {})

async function run(title: string, cases: readonly MatrixCase[]): Promise<readonly string[]> {
  const start = performance.now()
  const { passed, total, misses } = await runMatrix(cases)
  await closeServers()
  console.log(`${title}: ${passed} of ${total}, in ${Math.round((performance.now() - start) / 1000)} s`)
  return misses
}

console.log(`Node ${process.version}, ${consumers.length} consumers`)
const misses = [
  ...(await run('ordered pairs', allPairs())),
  ...(await run('three in a row (A, express.raw, A)', allSandwiches())),
]
for (const miss of misses) console.log(`  ${miss}`)
const known = await run('pairs that are known to miss', pairsWith(knownMisses))
// Their names without the variant.
for (const pair of new Set(known.map((miss) => miss.split(' (')[0]))) console.log(`  ${pair}`)
process.exitCode = misses.length === 0 ? 0 : 1
