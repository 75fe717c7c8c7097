// Programs of recipes in the process of their tests, and upstreams for them that stop and start again.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import type { Express } from 'express'
import { listen, type TestServer } from '../servers/servers.js'

/** Imports the program of a recipe while these environment variables are set. */
export async function recipeApp<Program extends { readonly app: Express }>(
  name: string,
  variables: Readonly<Record<string, string>>,
): Promise<Program> {
  Object.assign(process.env, variables)
  const program = (await import(`../../../.recipes/${name}.js`)) as Program
  for (const variable of Object.keys(variables)) delete process.env[variable]
  // Express logs no errors then.
  program.app.set('env', 'test')
  return program
}

/** An upstream that answers with its name and the body that it got. */
export interface NamedUpstream {
  readonly url: string
  /** The requests so far. */
  readonly asked: IncomingMessage[]
  /** Answers instead, if it is set. */
  answer: ((req: IncomingMessage, res: ServerResponse) => void) | undefined
  /** Closes its port and its connections. */
  stop(): Promise<void>
  /** Listens again. */
  start(): Promise<void>
}

/** Starts an upstream. `closeServers` ends it. */
export async function namedUpstream(name: string): Promise<NamedUpstream> {
  const asked: IncomingMessage[] = []
  const open = (port: number): Promise<TestServer> =>
    listen(
      createServer((req, res) => {
        asked.push(req)
        if (upstream.answer === undefined) void answerWith(name, req, res)
        else upstream.answer(req, res)
      }),
      { port, host: '127.0.0.1' },
    )
  let { server, url, port } = await open(0)
  const upstream: NamedUpstream = {
    url,
    asked,
    answer: undefined,
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
    async start() {
      ;({ server, url, port } = await open(port))
    },
  }
  return upstream
}

async function answerWith(name: string, req: IncomingMessage, res: ServerResponse): Promise<void> {
  res.end(`${name}${await text(req)}`)
}
