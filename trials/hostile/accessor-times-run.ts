import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { root } from '../../test/support/repository/repository.js'
import type { Failures } from './failures.js'
import type { MishapLog } from './mishap-log.js'

/** Measures for how long each accessor of bodyCache holds up the event loop; gives the number of bodies. */
export async function accessorTimes(_log: MishapLog, failures: Failures): Promise<number> {
  const program = path.join(root, 'trials/hostile/accessor-times.mjs')
  const child = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  const tooSlow = output.match(/(?<=^TOO SLOW: ).*$/gm) ?? []
  for (const body of tooSlow) failures.count(`too slow: ${body}`)
  if (code !== 0 && tooSlow.length === 0) failures.count(`ended with ${code}`)
  return Number(/(\d+) bodies/.exec(output)?.[1] ?? 0)
}
