import { isDeepStrictEqual } from 'node:util'
import type { Failures } from '../hostile/failures.js'

/** Ends a part that cannot run here; its message is the reason. */
export class Skipped extends Error {
  override readonly name = 'Skipped'
}

const EXAMPLES = 3

/** What a part has found out so far. */
export class Trial {
  private readonly failures: Failures
  private readonly began = performance.now()
  /** Which server stands behind the proxy: its name and version. */
  server = ''
  cases = 0

  constructor(failures: Failures) {
    this.failures = failures
  }

  /** One case: the same exchange with the server itself (the oracle) and through the proxy has to come out the same. */
  same(name: string, direct: unknown, proxied: unknown): void {
    this.holds(name, isDeepStrictEqual(direct, proxied), () => differences(direct, proxied))
  }

  /** One case that compares with nothing. */
  holds(name: string, isTrue: boolean, details: () => string = () => ''): void {
    this.cases += 1
    if (isTrue) return
    this.failures.count(name)
    if (this.failures.examplesOf(name) < EXAMPLES) this.failures.example(name, details())
  }

  /** Prints a figure that is neither right nor wrong. */
  note(text: string): void {
    console.log(`  ${text}`)
  }

  get seconds(): number {
    return Math.round((performance.now() - this.began) / 1000)
  }
}

/** The fields in which two results differ. */
function differences(direct: unknown, proxied: unknown): string {
  if (!isRecord(direct) || !isRecord(proxied)) return `direct: ${show(direct)}, proxied: ${show(proxied)}`
  const keys = new Set([...Object.keys(direct), ...Object.keys(proxied)])
  return [...keys]
    .filter((key) => !isDeepStrictEqual(direct[key], proxied[key]))
    .map((key) => `${key}: direct ${show(direct[key])}, proxied ${show(proxied[key])}`)
    .join('; ')
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function show(value: unknown): string {
  return JSON.stringify(value ?? null).slice(0, 500)
}
