import { mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { emptyDirectory } from '../support/process/temporary-files.js'

/** A folder with the files that the program serves; `removeDirectories` removes it. */
export function filesToServe(): string {
  const folder = emptyDirectory()
  for (const name of ['views', 'public', 'public/sub']) mkdirSync(path.join(folder, name))
  const files = {
    'views/greeting.txt': '',
    'public/index.html': '<h1>index</h1>',
    'public/sub/index.html': '<h1>sub</h1>',
    'public/.hidden': 'hidden',
    'public/large.txt': 'line of text\n'.repeat(10_000),
  }
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(path.join(folder, name), text)
    utimesSync(path.join(folder, name), 1_700_000_000, 1_700_000_000)
  }
  return folder
}
