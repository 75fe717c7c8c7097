// Builds both module formats with tsc; dist/cjs gets a package.json of its own, as the root one says "type": "module".
import { execFileSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const tsc = fileURLToPath(new URL('../node_modules/.bin/tsc', import.meta.url))

rmSync(`${root}/dist`, { recursive: true, force: true })
for (const project of ['tsconfig.json', 'tsconfig.cjs.json']) {
  execFileSync(tsc, ['-p', project], { cwd: root, stdio: 'inherit' })
}
writeFileSync(`${root}/dist/cjs/package.json`, '{ "type": "commonjs" }\n')
