import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The repository's folder; this file runs as build/test/support/repository.js. */
export const root = fileURLToPath(new URL('../../../', import.meta.url))

/** The text of a file of the repository. */
export function readText(path: string): string {
  return readFileSync(`${root}/${path}`, 'utf8')
}

/** The names in a folder of the repository. */
export function namesIn(path: string): string[] {
  return readdirSync(`${root}/${path}`)
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
  .map((path) => path.replace(/^\.\/?/, ''))
  .filter((path) => path !== '' && path !== 'package.json')
