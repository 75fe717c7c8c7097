// Runs the compiled tests, each folder in a process of its own: one that has loaded all of them is so large that the children it
// starts and the garbage it collects cost several times as much.
//
//   node scripts/test.mjs [--without=folder,folder] [options of mocha]

import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))

const WITHOUT = '--without='
const { spec: _all, ...options } = JSON.parse(readFileSync('.mocharc.json', 'utf8'))
const own = Object.entries(options).flatMap(([name, value]) =>
  value === true ? `--${name}` : [`--${name}`, String(value)],
)
const given = process.argv.slice(2)
const without = given
  .filter((argument) => argument.startsWith(WITHOUT))
  .flatMap((argument) => argument.slice(WITHOUT.length).split(','))
const passedOn = given.filter((argument) => !argument.startsWith(WITHOUT))

const failed = folders().filter((folder) => !passes(folder))
console.log(failed.length === 0 ? '\nall folders passed' : `\nfailed: ${failed.join(', ')}`)
process.exitCode = failed.length === 0 ? 0 : 1

function folders() {
  const inTests = readdirSync('build/test', { recursive: true }).filter((file) => file.endsWith('.test.js'))
  return [...new Set(inTests.map((file) => file.split(/[\\/]/)[0]))]
    .filter((folder) => !without.includes(folder))
    .toSorted((one, other) => one.localeCompare(other))
}

function passes(folder) {
  console.log(`\n--- test/${folder}`)
  const parameters = [
    'node_modules/mocha/bin/mocha.js',
    '--no-config',
    ...own,
    ...passedOn,
    `build/test/${folder}/**/*.test.js`,
  ]
  return spawnSync(process.execPath, parameters, { stdio: 'inherit' }).status === 0
}
