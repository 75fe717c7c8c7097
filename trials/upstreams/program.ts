import { type ChildProcess, execFileSync, spawn, type SpawnOptions } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { Skipped } from './trial.js'

const folders = [...(process.env['PATH'] ?? '').split(path.delimiter), '/usr/sbin', '/usr/lib/git-core']

/** What is still there when this process ends. */
const endings: (() => void)[] = []
process.once('exit', () => {
  for (const end of endings) end()
})

/** Where a program is; skips the part, and says how to get it, where it is not. */
export function requireProgram(name: string, from: string): string {
  const found = folders.map((folder) => path.join(folder, name)).find(isExecutable)
  if (found === undefined) throw new Skipped(`there is no ${name} (Debian: apt-get install ${from})`)
  return found
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** What a program prints, both streams, on one line. */
export function printed(program: string, ...args: readonly string[]): string {
  return execFileSync('/bin/sh', ['-c', '"$0" "$@" 2>&1', program, ...args], { encoding: 'utf8' }).trim()
}

/** The sources of a part beside its compiled files: `trials/upstreams/<name>`. */
export function source(name: string): string {
  return fileURLToPath(new URL(`../../../trials/upstreams/${name}`, import.meta.url))
}

/** A folder of its own, gone with the process. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'sluiceway-upstreams-'))
  endings.push(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Starts a server, and gives it when it accepts connections. It is ended with this process. */
export async function startServer(
  program: string,
  args: readonly string[],
  at: number | string,
  options: SpawnOptions = {},
): Promise<ChildProcess> {
  // A group of its own: not every server ends its children.
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], detached: true, ...options })
  endings.push(() => endGroup(child))
  let said = ''
  child.stderr?.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-2000)))
  while (child.exitCode === null) {
    if (await accepts(at)) return child
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error(`${program} has ended with ${child.exitCode}: ${said}`)
}

function endGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGTERM')
  } catch {
    // It has ended by itself.
  }
}

/** Tells whether something listens at a port of 127.0.0.1, or at the path of a socket. */
async function accepts(at: number | string): Promise<boolean> {
  const socket = typeof at === 'number' ? connect(at, '127.0.0.1') : connect(at)
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
