import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { runUncovered } from '../process/run-uncovered.js'
import { root } from './repository.js'

/** The package as npm would publish it, installed in its own folder. */
export interface Installed {
  readonly tarball: string
  readonly folder: string
  /** The files of the tarball, by path. */
  readonly files: readonly string[]
  /** The tarball's size in bytes. */
  readonly size: number
  /** Links packages of the repository's node_modules into the folder that npm did not install there, such as express. */
  link(...names: string[]): void
  /** Links a folder of the repository in as the package `name`. */
  linkTo(name: string, target: string): void
  /** Writes a program into the folder, runs it there, and returns its output. */
  run(name: string, program: string): Promise<string>
}

let installed: Promise<Installed> | undefined

/** The package, packed and installed once for all tests. */
export function packedPackage(): Promise<Installed> {
  installed ??= installPacked()
  return installed
}

after(async () => {
  const packed = await installed?.catch(() => undefined)
  if (packed !== undefined) rmSync(packed.folder, { recursive: true, force: true })
})

/**
 * Builds the package as it is published, packs it, and has npm install the tarball and its dependencies into a folder
 * that is otherwise empty.
 */
async function installPacked(): Promise<Installed> {
  const folder = mkdtempSync(path.join(tmpdir(), 'sluiceway-packed-'))
  const source = path.join(folder, 'source')
  mkdirSync(source)
  for (const name of ['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md', 'SECURITY.md', 'docs', 'lib']) {
    cpSync(path.join(root, name), path.join(source, name), { recursive: true })
  }
  await runUncovered(process.execPath, ['scripts/build.mjs', '--release', path.join(source, 'dist')], {
    cwd: root,
  })
  const { stdout } = await runUncovered('npm', ['pack', '--ignore-scripts', '--json'], { cwd: source })
  const [packed] = JSON.parse(stdout) as [{ filename: string; size: number; files: { path: string }[] }]
  const tarball = path.join(source, packed.filename)
  writeFileSync(path.join(folder, 'package.json'), '{ "private": true }')
  await runUncovered(
    'npm',
    ['install', '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund', tarball],
    {
      cwd: folder,
    },
  )

  return {
    tarball,
    folder,
    files: packed.files.map((file) => file.path),
    size: packed.size,
    link: (...names) => names.forEach((name) => linkPackage(folder, name, `node_modules/${name}`)),
    linkTo: (name, target) => linkPackage(folder, name, target),
    run: async (name, program) => {
      writeFileSync(path.join(folder, name), program)
      return (await runUncovered(process.execPath, [name], { cwd: folder, timeout: 20_000 })).stdout
    },
  }
}

/** Links a folder of the repository into another folder as the package `name`. */
export function linkPackage(folder: string, name: string, target: string): void {
  const link = path.join(folder, 'node_modules', name)
  if (existsSync(link)) return
  mkdirSync(path.dirname(link), { recursive: true })
  symlinkSync(path.join(root, target), link, 'junction')
}
