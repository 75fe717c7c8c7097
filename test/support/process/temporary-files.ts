import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { until } from '../time/until.js'

const created: string[] = []

/** Makes an empty directory. `removeDirectories` removes it. */
export function emptyDirectory(): string {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'sluiceway-test-'))
  created.push(directory)
  return directory
}

/** Removes every directory that a test made: use it as `afterEach(removeDirectories)`. */
export function removeDirectories(): void {
  for (const directory of created.splice(0)) fs.rmSync(directory, { recursive: true, force: true })
}

interface OpenFile {
  readonly descriptor: number
  readonly unlinked: boolean
  readonly mode: number
  readonly size: number
}

/** The open files of this process in `directory`, unlinked ones included, with the system's information about each. */
export function openFilesIn(directory: string): OpenFile[] {
  return fs.readdirSync('/proc/self/fd').flatMap((descriptor) => openFileIn(directory, descriptor) ?? [])
}

function openFileIn(directory: string, descriptor: string): OpenFile | undefined {
  try {
    const target = fs.readlinkSync(`/proc/self/fd/${descriptor}`)
    if (!target.startsWith(`${directory}/`)) return undefined
    const { mode, size } = fs.fstatSync(Number(descriptor))
    return {
      descriptor: Number(descriptor),
      unlinked: target.endsWith(' (deleted)'),
      mode: mode & 0o777,
      size,
    }
  } catch {
    // Closed in the meantime, like the descriptor that read the list.
    return undefined
  }
}

/** Waits until no file in `directory` is open: closing takes a turn of the thread pool. */
export async function allClosedIn(directory: string): Promise<void> {
  await until(() => openFilesIn(directory).length === 0, 'every file of a kept body to be closed')
}
