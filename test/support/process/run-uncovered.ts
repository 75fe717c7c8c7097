import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Runs a program without counting it in the coverage: writing down that of a compiler takes longer than its work. */
export function runUncovered(
  file: string,
  parameters: readonly string[],
  options: { readonly cwd?: string; readonly timeout?: number } = {},
): Promise<{ readonly stdout: string; readonly stderr: string }> {
  return run(file, parameters, { ...options, env: { ...process.env, NODE_V8_COVERAGE: '' } })
}
