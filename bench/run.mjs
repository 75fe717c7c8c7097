// Runs every benchmark, one after the other: `npm run bench`, or `npm run bench -- max-bytes` for some of them.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const all = ['max-bytes', 'delivery', 'body-cache', 'auto-flush', 'passthrough-proxy']
const asked = process.argv.slice(2)

for (const name of asked.length > 0 ? asked : all) {
  console.log(`\n=== ${name}`)
  const file = fileURLToPath(new URL(`${name}.mjs`, import.meta.url))
  const { status } = spawnSync(process.execPath, [file], { stdio: 'inherit' })
  if (status !== 0) process.exitCode = 1
}
