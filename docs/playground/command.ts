// The command whose output the first panel shows: a build of sorts, that prints a line each 200 ms.
// Each line begins with the time it was printed, so that the page can tell how late it came.
import { setTimeout as sleep } from 'node:timers/promises'

const parts = [
  'parser',
  'headers',
  'framing',
  'limits',
  'cache',
  'flush',
  'proxy',
  'pool',
  'upgrade',
  'errors',
]
const steps = parts.length + 2

print(`[1/${steps}] read 10 sources`)
for (const [index, part] of parts.entries()) {
  await sleep(200)
  print(`[${index + 2}/${steps}] compile ${part}.c`)
}
await sleep(200)
print(`[${steps}/${steps}] link: done`)

function print(line: string): void {
  process.stdout.write(`${Date.now()} ${line}\n`)
}
