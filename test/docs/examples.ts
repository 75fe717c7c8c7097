import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Server } from 'node:http'
import { syncBuiltinESMExports } from 'node:module'
import net, { type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import type { Express } from 'express'
import '../support/recipes/example-secrets.js'
import 'zod' // sets globals, which mocha would take for leaks of the example that loads it
import { namesIn, readText, root } from '../support/repository/repository.js'
import { serve, type TestServer } from '../support/servers/servers.js'

/** One block of a page, as scripts/extract-recipes.mjs extracts it. */
export interface Example {
  /** The page, and which of its blocks of this kind it is: 'readme 1'. */
  readonly title: string
  /** Its name in .recipes. */
  readonly file: string
}

/** The "ts" blocks of all pages, in their order. */
export function examples(): Example[] {
  return blocks('', /^example-(.+)-(\d+)\.ts$/)
}

/** The "sh" blocks. */
export function shellBlocks(): Example[] {
  return blocks('shell/', /^(.+)-(\d+)\.sh$/)
}

/** The "nginx" blocks. */
export function nginxBlocks(): Example[] {
  return blocks('nginx/', /^(.+)-(\d+)\.conf$/)
}

function blocks(folder: string, kind: RegExp): Example[] {
  const found = namesIn(`.recipes/${folder}`).flatMap((name) => {
    const [, page = '', line = ''] = kind.exec(name) ?? []
    return page === '' ? [] : [{ page, line: Number(line), file: folder + name }]
  })
  const ordered = found.toSorted((a, b) => a.page.localeCompare(b.page) || a.line - b.line)
  return ordered.map(({ page, file }, index) => {
    const before = ordered.slice(0, index).filter((other) => other.page === page).length
    return { title: `${page} ${before + 1}`, file }
  })
}

/** An upstream that answers with the request that it got, as JSON. */
export function describingUpstream(): Promise<TestServer> {
  return serve((req, res) => {
    const { method, url, headers } = req
    const { authorization } = headers
    const answer = (body: string): unknown => res.end(JSON.stringify({ method, url, authorization, body }))
    text(req).then(answer, (error: Error) => res.destroy(error))
  })
}

/** The ports of the examples' upstreams. */
const UPSTREAM_PORTS = ['4000', '8080']

/**
 * The environment that the examples assume: files in the working directory, an upstream on the ports that they
 * name, and a free port 3000. `leave()` undoes it.
 */
export class Surroundings {
  readonly listening: Server[] = []
  private readonly folder = mkdtempSync(path.join(tmpdir(), 'sluiceway-examples-'))
  private readonly home = process.cwd()
  private readonly connect = net.connect
  private readonly listen: (this: Server, ...given: never[]) => Server = Reflect.get(
    Server.prototype,
    'listen',
  )

  constructor(upstreamPort: number) {
    const { connect, listen, listening } = this
    net.connect = ((...given: [net.TcpNetConnectOpts]) => {
      const [options] = given
      if (!UPSTREAM_PORTS.includes(String(options.port))) return connect(...given)
      return connect({ ...options, port: upstreamPort })
    }) as typeof net.connect
    // For those that have imported it by name too.
    syncBuiltinESMExports()
    Server.prototype.listen = function (this: Server, ...given: never[]) {
      if (given[0] !== 3000) return Reflect.apply(listen, this, given)
      listening.push(this)
      const whenListening = given.filter((argument) => typeof argument === 'function')
      return Reflect.apply(listen, this, [0, '127.0.0.1', ...whenListening])
    }
    this.writeFiles()
    process.chdir(this.folder)
  }

  private writeFiles(): void {
    const certificate = readText('test/support/servers/tls/certificate.pem')
    const key = readText('test/support/servers/tls/key.pem')
    const files = {
      'public/index.html': '<p>page',
      'ca.pem': certificate,
      'client.pem': certificate,
      'client-key.pem': key,
      'token.txt': 'sesame',
      'app.log': 'first line\n',
      'package.json': '{ "scripts": { "build": "echo built" } }',
    }
    mkdirSync(path.join(this.folder, 'public'))
    for (const [name, content] of Object.entries(files)) {
      writeFileSync(path.join(this.folder, name), content)
    }
  }

  /** Runs one example, and gives its app where it has one. */
  async run({ file }: Example): Promise<Express | undefined> {
    return await this.load(file.replace('.ts', '.js'))
  }

  /** Runs the program of a recipe as `node app.js` would, apart from what other tests have loaded of it. */
  async start(recipe: string, upstream: string): Promise<void> {
    const [, program = ''] = process.argv
    process.env['UPSTREAM'] = upstream
    process.argv[1] = path.join(root, `build/.recipes/${recipe}.js`)
    try {
      await this.load(`${recipe}.js?started`)
    } finally {
      process.argv[1] = program
      delete process.env['UPSTREAM']
    }
  }

  private async load(file: string): Promise<Express | undefined> {
    const { app } = (await import(`${root}/build/.recipes/${file}`)) as { app?: Express }
    app?.set?.('env', 'test') // Express logs no errors then
    return app
  }

  /** The port of the server that the last example has started. */
  async port(): Promise<number> {
    const server = this.listening.at(-1) as Server
    if (!server.listening) await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }

  leave(): void {
    net.connect = this.connect
    syncBuiltinESMExports()
    Server.prototype.listen = this.listen as Server['listen']
    process.chdir(this.home)
    rmSync(this.folder, { recursive: true })
    for (const server of this.listening) server.close()
    for (const server of this.listening) server.closeAllConnections()
  }
}
