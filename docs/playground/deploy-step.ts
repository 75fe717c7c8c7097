// One step of the deployment that the deploy panel shows: prints what such a step prints, a line each 60 ms.
// `--broken` makes its last line a failure; `--with-times` begins each line with the time it was printed.
import { setTimeout as sleep } from 'node:timers/promises'
import { now } from './traces.js'

const outputs: Readonly<Record<string, readonly string[]>> = {
  install: ['resolve 212 packages', 'fetch 3 of them', 'link'],
  test: ['limits: 41 passed', 'streams: 63 passed', 'proxy: 88 passed'],
  publish: ['pack', 'upload', 'switch to the new version'],
}
const [name = '', ...flags] = process.argv.slice(2)
const isBroken = flags.includes('--broken')
const lines = outputs[name] ?? []

for (const [index, line] of lines.entries()) {
  await sleep(60)
  const fails = isBroken && index === lines.length - 1
  print(fails ? process.stderr : process.stdout, fails ? line.replace('passed', 'failed') : line)
  if (fails) process.exitCode = 1
}

function print(stream: NodeJS.WriteStream, line: string): void {
  stream.write(flags.includes('--with-times') ? `${now()} ${line}\n` : `${line}\n`)
}
