import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

interface Told {
  readonly port?: number
  readonly printed?: unknown
}

/** A recipe in a process of its own: for programs that subscribe to all of their process, and never leave. */
export class RecipeProcess {
  readonly port: number
  /** What it has printed with `console.dir`, `info` and `warn`. */
  readonly printed: readonly unknown[]
  private readonly child: ChildProcess

  private constructor(child: ChildProcess, port: number, printed: readonly unknown[]) {
    this.child = child
    this.port = port
    this.printed = printed
  }

  static async start(recipe: string, environment: Readonly<Record<string, string>>): Promise<RecipeProcess> {
    const program = fileURLToPath(new URL('recipe-program.js', import.meta.url))
    const child = fork(program, [recipe], { env: { ...process.env, ...environment } })
    const printed: unknown[] = []
    child.on('message', (told: Told) => told.port === undefined && printed.push(told.printed))
    for (;;) {
      const [told] = (await Promise.race([once(child, 'message'), failed(child)])) as [Told]
      if (told.port !== undefined) return new RecipeProcess(child, told.port, printed)
    }
  }

  async end(): Promise<void> {
    const gone = once(this.child, 'exit')
    this.child.disconnect()
    await gone
  }
}

async function failed(child: ChildProcess): Promise<never> {
  const [code] = (await once(child, 'exit')) as [number | null]
  throw new Error(`the program ended with ${code}`)
}
