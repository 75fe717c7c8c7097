// `npm run hostile`: clients and handlers that mean harm or take no care, with the same server without us as the
// oracle. Prints what failed by kind, with examples. With the name of a part it runs that alone.
//
//   SLUICEWAY_HOSTILE_SEED=5 npm run hostile        the same random cases again
//   node build/trials/hostile/run.js --sample       what `npm test` runs, always with the same seed
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { inParallel } from './in-parallel.js'
import { parts, partsAlone, runPart } from './parts.js'

const PROCESSES_AT_ONCE = 2
const SAMPLE_SEED = 15

const isSample = process.argv.includes('--sample')
const asked = process.argv.slice(2).filter((argument) => !argument.startsWith('-'))
for (const name of asked) {
  if (!(name in parts || name in partsAlone)) throw new Error(`no part is named ${name}`)
}
const seed = isSample ? SAMPLE_SEED : Number(process.env['SLUICEWAY_HOSTILE_SEED'] ?? Date.now() % 2 ** 31)

/** Runs a part in a process of its own: what ends that is a failure of the part. */
async function passes(part: string): Promise<boolean> {
  const sample = isSample ? ['--sample'] : []
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), part, ...sample], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_ENV: 'test', SLUICEWAY_HOSTILE_SEED: String(seed) },
  })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
  process.stdout.write(output || `${part}: ended by ${signal ?? `exit code ${code}`}\n`)
  return code === 0
}

async function runAll(): Promise<boolean> {
  console.log(`Node ${process.version}, SLUICEWAY_HOSTILE_SEED=${seed}`)
  const failed: string[] = []
  const run = async (part: string): Promise<void> => {
    if (!(await passes(part))) failed.push(part)
  }
  await inParallel(PROCESSES_AT_ONCE, Object.keys(parts), run)
  if (!isSample) await inParallel(1, Object.keys(partsAlone), run)
  console.log(failed.length === 0 ? 'hostile: passed' : `hostile: failed in ${failed.join(', ')}`)
  return failed.length === 0
}

const [only] = asked
const passed = only === undefined ? await runAll() : await runPart(only, { seed, isSample })
// Pools of upstream connections live on for a while.
process.exit(passed ? 0 : 1)
