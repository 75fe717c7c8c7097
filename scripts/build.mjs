// Builds both module formats with tsc; dist/cjs gets a package.json of its own, as the root one says "type": "module".
// With --release (and perhaps a folder other than dist): as it is published, which is without source maps, and with
// comments only in the declarations that an editor shows to a user.
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
// Not .bin/tsc: several versions of TypeScript are installed, for test/package/consumers.test.ts.
const tsc = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url))

const [mode, target = `${root}/dist`] = process.argv.slice(2)

function compile(project, outDir, ...flags) {
  execFileSync(process.execPath, [tsc, '-p', project, '--outDir', outDir, ...flags], {
    cwd: root,
    stdio: 'inherit',
  })
}

function release(project, outDir) {
  compile(project, outDir, '--sourceMap', 'false', '--inlineSources', 'false', '--removeComments')
  const commented = mkdtempSync(path.join(tmpdir(), 'sluiceway-build-'))
  compile(project, commented, '--sourceMap', 'false', '--inlineSources', 'false', '--emitDeclarationOnly')
  for (const name of publicDeclarations(commented)) {
    copyFileSync(path.join(commented, name), path.join(outDir, name))
  }
  rmSync(commented, { recursive: true })
}

/** The declarations of the entry points, and those that they export from other modules. */
function publicDeclarations(folder) {
  const entries = readdirSync(folder).filter((name) => name.endsWith('.d.ts'))
  const exported = entries.flatMap((name) => {
    const code = readFileSync(path.join(folder, name), 'utf8')
    return [...code.matchAll(/^(?:import|export) [^;]*from '\.\/([^']+)\.js'/gm)].map(
      ([, module]) => `${module}.d.ts`,
    )
  })
  return new Set([...entries, ...exported])
}

rmSync(target, { recursive: true, force: true })
for (const [format, project] of Object.entries({ esm: 'tsconfig.json', cjs: 'tsconfig.cjs.json' })) {
  if (mode === '--release') release(project, `${target}/${format}`)
  else compile(project, `${target}/${format}`)
}
writeFileSync(`${target}/cjs/package.json`, '{ "type": "commonjs" }\n')
