// Builds both module formats with tsc; dist/cjs gets a package.json of its own, as the root one says "type": "module".
// With --release (and perhaps a folder other than dist): as it is published, which is without source maps, and with
// comments in the declarations only.
import { execFileSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
// Not .bin/tsc: several versions of TypeScript are installed, for test/package/consumers.test.ts.
const tsc = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url))

const [release, folder = `${root}/dist`] = process.argv.slice(2)
const withoutMaps = ['--sourceMap', 'false', '--inlineSources', 'false']
const passes =
  release === '--release'
    ? [
        [...withoutMaps, '--removeComments', '--declaration', 'false', '--isolatedDeclarations', 'false'],
        [...withoutMaps, '--emitDeclarationOnly'],
      ]
    : [[]]

rmSync(folder, { recursive: true, force: true })
for (const [format, project] of Object.entries({ esm: 'tsconfig.json', cjs: 'tsconfig.cjs.json' })) {
  for (const flags of passes) {
    const outDir = ['--outDir', `${folder}/${format}`]
    execFileSync(process.execPath, [tsc, '-p', project, ...outDir, ...flags], { cwd: root, stdio: 'inherit' })
  }
}
writeFileSync(`${folder}/cjs/package.json`, '{ "type": "commonjs" }\n')
