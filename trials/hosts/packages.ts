import { readFileSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'

/** The folder of this trial's own packages, seen from where it is compiled to. */
const packages = fileURLToPath(new URL('../../../trials/hosts/packages/', import.meta.url))

/** Loads a package that is installed for this trial alone. */
export async function load<Module>(name: string): Promise<Module> {
  const beside = (await import(pathToFileURL(`${packages}load.mjs`).href)) as {
    readonly load: (name: string) => Promise<Module>
  }
  return beside.load(name)
}

/** The version of a package that is installed for this trial alone. */
export function versionOf(name: string): string {
  const file = `${packages}node_modules/${name}/package.json`
  return (JSON.parse(readFileSync(file, 'utf8')) as { readonly version: string }).version
}
