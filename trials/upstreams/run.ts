// `npm run upstreams`: real servers and real applications behind passthroughProxy. The oracle is the same client that
// talks to the same server directly. Prints a line for each part; with the names of parts it runs those alone.
//
//   node build/trials/upstreams/run.js nginx tls
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { parts, runPart } from './parts.js'

/** Beyond this a part hangs. */
const PART_MS = 240_000

const asked = process.argv.slice(2)
for (const name of asked) {
  if (!(name in parts))
    throw new Error(`no part is named ${name}; there are ${Object.keys(parts).join(', ')}`)
}

/** Runs a part in a process of its own: what ends that is a failure of the part. */
async function passes(part: string): Promise<boolean> {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), part], {
    stdio: 'inherit',
    env: { ...process.env, NODE_ENV: 'test', SLUICEWAY_PART: part },
  })
  const timer = setTimeout(() => child.kill('SIGKILL'), PART_MS)
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
  clearTimeout(timer)
  if (code !== 0 && code !== 1) console.log(`${part}: ended by ${signal ?? `exit code ${code}`}`)
  return code === 0
}

async function runAll(names: readonly string[]): Promise<boolean> {
  console.log(`Node ${process.version}`)
  const failed: string[] = []
  for (const name of names) {
    if (!(await passes(name))) failed.push(name)
  }
  console.log(failed.length === 0 ? 'upstreams: passed' : `upstreams: failed in ${failed.join(', ')}`)
  return failed.length === 0
}

const own = process.env['SLUICEWAY_PART']
const passed =
  own === undefined ? await runAll(asked.length > 0 ? asked : Object.keys(parts)) : await runPart(own)
// Connections to upstreams, and clients that keep theirs, live on for a while.
process.exit(passed ? 0 : 1)
