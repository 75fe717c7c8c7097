// Builds both module formats with tsc; dist/cjs gets a package.json of its own, as the root one says "type": "module".
// With --release (and perhaps a folder other than dist): as it is published, without source maps, with comments only
// in the declarations that an editor shows to a user, and with the modules that the same entries need in one file.
import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, transform } from 'esbuild'

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

/** Keeps of the declarations those that a user's compiler reads, and comments in those that an editor shows. */
function release(project, outDir) {
  const withoutMaps = ['--sourceMap', 'false', '--inlineSources', 'false']
  compile(
    project,
    outDir,
    ...withoutMaps,
    '--declaration',
    'false',
    '--isolatedDeclarations',
    'false',
    '--removeComments',
  )
  const declared = mkdtempSync(path.join(tmpdir(), 'sluiceway-build-'))
  compile(project, `${declared}/plain`, ...withoutMaps, '--emitDeclarationOnly', '--removeComments')
  compile(project, `${declared}/commented`, ...withoutMaps, '--emitDeclarationOnly')
  for (const [name, depth] of reachableDeclarations(`${declared}/plain`)) {
    copyFileSync(path.join(declared, depth < 2 ? 'commented' : 'plain', name), path.join(outDir, name))
  }
  rmSync(declared, { recursive: true })
}

/** The declarations of the entry points (at depth 0), and all that these lead to. */
function reachableDeclarations(folder) {
  const found = new Map(
    readdirSync(folder)
      .filter((name) => name.endsWith('.d.ts'))
      .map((name) => [name, 0]),
  )
  // A map can grow while it is walked.
  for (const [name, depth] of found) {
    for (const module of importsOf(path.join(folder, name))) {
      const file = path.join(path.dirname(name), `${module}.d.ts`)
      if (!found.has(file)) found.set(file, depth + 1)
    }
  }
  return found
}

function importsOf(file) {
  return [...readFileSync(file, 'utf8').matchAll(/(?:from |import\()['"](\.[^'"]+)\.js['"]/g)].map(
    ([, module]) => module,
  )
}

/** As tsc does, without `import()`: CommonJS has none in Jest, in single executables and behind v8-compile-cache. */
const commonJs = { format: 'cjs', platform: 'node', supported: { 'dynamic-import': false } }

/**
 * Joins the modules of the ES modules' folder: what takes most of the time of an import is the number of files. Each file
 * then has what the same entries share, so that a subpath loads nothing that it does not need.
 */
async function joinModules() {
  const folder = `${target}/esm`
  const { outputFiles } = await build({
    entryPoints: readdirSync(folder)
      .filter((name) => name.endsWith('.js'))
      .map((name) => path.join(folder, name)),
    outdir: folder,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    packages: 'external',
    target: 'es2022',
    chunkNames: 'shared/[hash]',
    write: false,
    logLevel: 'warning',
  })
  const joined = outputFiles.map(({ path: file, text }) => [path.relative(folder, file), text])
  for (const format of ['esm', 'cjs']) removeModules(`${target}/${format}`)
  for (const [name, text] of joined) {
    write(`${target}/esm/${name}`, withoutPaths(text))
    write(`${target}/cjs/${name}`, (await transform(withoutPaths(text), commonJs)).code)
  }
}

/** Removes the modules, and leaves the declarations. */
function removeModules(folder) {
  for (const name of readdirSync(folder, { recursive: true })) {
    if (name.endsWith('.js')) rmSync(path.join(folder, name))
  }
}

/** The comments in which esbuild names the folder of each module. */
function withoutPaths(text) {
  return text.replaceAll(/^\/\/ .*?\/esm\/(.*)$/gm, '// $1')
}

function write(file, text) {
  mkdirSync(path.dirname(file), { recursive: true })
  writeFileSync(file, text)
}

rmSync(target, { recursive: true, force: true })
for (const [format, project] of Object.entries({ esm: 'tsconfig.json', cjs: 'tsconfig.cjs.json' })) {
  if (mode === '--release') release(project, `${target}/${format}`)
  else compile(project, `${target}/${format}`)
}
if (mode === '--release') await joinModules()
writeFileSync(`${target}/cjs/package.json`, '{ "type": "commonjs" }\n')
