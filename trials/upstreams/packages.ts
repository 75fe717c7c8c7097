import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { source } from './program.js'
import { Skipped } from './trial.js'

/** Loads a package of this folder, which are not the project's: what is not installed skips the part. */
export async function load<Module>(name: string): Promise<Module> {
  const { load: loadBeside } = (await import(pathToFileURL(source('packages/load.mjs')).href)) as {
    readonly load: (name: string) => Promise<Module>
  }
  try {
    return await loadBeside(name)
  } catch (error) {
    throw new Skipped(
      `${name} cannot be loaded (npm ci --prefix trials/upstreams/packages): ${String(error)}`,
    )
  }
}

/** The name and version of a package of this folder. */
export function versionOf(name: string): string {
  return versionIn(source(`packages/node_modules/${name}/package.json`), name)
}

/** The name and version of a package of the project. */
export function versionOfRoot(name: string): string {
  return versionIn(source(`../../node_modules/${name}/package.json`), name)
}

function versionIn(file: string, name: string): string {
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { readonly version: string }
  return `${name} ${version}`
}
