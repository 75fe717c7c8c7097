// The command whose output the second panel shows: a build of sorts, that prints a line each 100 ms.
// Told `--with-times`, it begins each line with the time it was printed, so that the page can tell how late it came.
import { setTimeout as sleep } from 'node:timers/promises'
import { now } from './traces.js'

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
  'tunnel',
  'trailers',
]
const steps = parts.length + 2
const withTimes = process.argv.includes('--with-times')

print(process.stdout, `[1/${steps}] read ${parts.length} sources`)
for (const [index, part] of parts.entries()) {
  await sleep(100)
  print(process.stdout, `[${index + 2}/${steps}] compile ${part}.c`)
  if (part === 'cache') print(process.stderr, 'cache.c:41: warning: unused variable')
}
await sleep(100)
print(process.stdout, `[${steps}/${steps}] link: done`)

function print(stream: NodeJS.WriteStream, line: string): void {
  stream.write(withTimes ? `${now()} ${line}\n` : `${line}\n`)
}
