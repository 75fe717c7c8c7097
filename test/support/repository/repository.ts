import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** The repository's folder; this file runs as build/test/support/repository/repository.js. */
export const root = fileURLToPath(new URL('../../../../', import.meta.url))

/** The text of a file of the repository. */
export function readText(file: string): string {
  return readFileSync(`${root}/${file}`, 'utf8')
}

/** The files below a folder of the repository, by their paths from the root. */
export function filesBelow(folder: string): string[] {
  return readdirSync(`${root}/${folder}`, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)))
    .toSorted()
}

/** The names in a folder of the repository. */
export function namesIn(folder: string): string[] {
  return readdirSync(`${root}/${folder}`)
}

export interface Manifest {
  readonly version: string
  readonly exports: Readonly<Record<string, unknown>>
  readonly typesVersions: { readonly '*': Readonly<Record<string, readonly string[]>> }
  readonly dependencies: Readonly<Record<string, string>>
}

export const manifest = JSON.parse(readText('package.json')) as Manifest

/** The subpaths of the package that are modules: 'max-bytes', 'body-cache', … */
export const subpaths = Object.keys(manifest.exports)
  .map((subpath) => subpath.replace(/^\.\/?/, ''))
  .filter((subpath) => subpath !== '' && subpath !== 'package.json')
