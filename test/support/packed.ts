import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { manifest, root } from './repository.js'

const run = promisify(execFile)

/** The package as npm would publish it, installed in a folder of its own. */
export interface Installed {
  readonly tarball: string
  readonly folder: string
  /** What the tarball holds, by path. */
  readonly files: readonly string[]
  /** The tarball's size in bytes. */
  readonly size: number
  /** Links packages of the repository's node_modules into the folder, as if they were installed there. */
  link(...names: string[]): void
  /** Writes a program into the folder, runs it there, and gives what it printed. */
  run(name: string, program: string): Promise<string>
  remove(): void
}

/**
 * Packs the built package and installs it with its dependencies, which are links to the repository's own:
 * nothing is fetched. Does not build: the tests run on what is there.
 */
export async function installPacked(): Promise<Installed> {
  const folder = mkdtempSync(path.join(tmpdir(), 'sluiceway-packed-'))
  const { stdout } = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], {
    cwd: root,
  })
  const [packed] = JSON.parse(stdout) as [{ filename: string; size: number; files: { path: string }[] }]
  const tarball = path.join(folder, packed.filename)
  const home = path.join(folder, 'node_modules/sluiceway')
  mkdirSync(home, { recursive: true })
  await run('tar', ['-xzf', tarball, '-C', home, '--strip-components=1'])

  const installed: Installed = {
    tarball,
    folder,
    files: packed.files.map((file) => file.path),
    size: packed.size,
    link: (...names) => names.forEach((name) => linkPackage(folder, name)),
    run: async (name, program) => {
      writeFileSync(path.join(folder, name), program)
      return (await run(process.execPath, [name], { cwd: folder, timeout: 20_000 })).stdout
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
  installed.link(...Object.keys(manifest.dependencies))
  return installed
}

function linkPackage(folder: string, name: string): void {
  const link = path.join(folder, 'node_modules', name)
  mkdirSync(path.dirname(link), { recursive: true })
  symlinkSync(path.join(root, 'node_modules', name), link, 'junction')
}
