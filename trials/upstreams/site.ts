import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { source, temporaryFolder } from './program.js'

/** A folder with a site: files, a folder, a CGI program. */
export function makeSite(): string {
  const site = temporaryFolder()
  // The server may run as another user.
  chmodSync(site, 0o755)
  mkdirSync(path.join(site, 'folder'))
  mkdirSync(path.join(site, 'cgi'))
  writeFileSync(path.join(site, 'file.txt'), 'a line of a file\n'.repeat(20_000))
  writeFileSync(path.join(site, 'empty.txt'), '')
  copyFileSync(source('servers/answer.cgi'), path.join(site, 'cgi', 'answer.cgi'))
  return site
}
