/*
 * Packages that need Node 22. They have a folder of their own, test/node22, because `npm ci` would warn about each of
 * them on Node 20.
 */

import { existsSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { root } from './repository.js'

const folder = `${root}test/node22`
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)

export const isNode22Installed: boolean = existsSync(`${folder}/node_modules/.package-lock.json`)

/** Whether the packages are installed and run on this Node. */
export const hasNode22Packages: boolean = isNode22Installed && (major > 22 || (major === 22 && minor >= 19))

if (!hasNode22Packages)
  console.log(
    'skipped: all tests of undici 8, raw-body 4 and http-proxy-middleware 4. They need Node 22.19 or later and ' +
      '`npm ci --prefix test/node22`',
  )

/** Loads a package of that folder. */
export async function loadNode22<Module>(name: string): Promise<Module> {
  const { load } = (await import(pathToFileURL(`${folder}/load.mjs`).href)) as {
    readonly load: (name: string) => Promise<Module>
  }
  return load(name)
}
