import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'

const program = process.env['NGINX_PATH'] ?? '/usr/sbin/nginx'

/** Says in the log of the tests that nginx is missing. */
export function hasNginx(): boolean {
  const found = existsSync(program)
  if (!found) console.log(`      skipped: there is no ${program}`)
  return found
}

/** An nginx in front of a server on 127.0.0.1, in its default configuration except for the lines in `location`. */
export class Nginx {
  readonly url: string
  private readonly child: ChildProcess
  private readonly directory: string

  private constructor(port: number, directory: string) {
    this.url = `http://127.0.0.1:${port}`
    this.directory = directory
    const file = path.join(directory, 'nginx.conf')
    this.child = spawn(program, ['-p', directory, '-c', file], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
  }

  static async before(upstream: number, location = ''): Promise<Nginx> {
    return await Nginx.serving(`location / { proxy_pass http://127.0.0.1:${upstream}; ${location} }`)
  }

  /** An nginx with these lines in its only server. */
  static async serving(lines: string): Promise<Nginx> {
    const port = await freePort()
    const directory = mkdtempSync(path.join(tmpdir(), 'sluiceway-nginx-'))
    writeFileSync(path.join(directory, 'nginx.conf'), configuration(directory, port, lines))
    const nginx = new Nginx(port, directory)
    await nginx.listening(port)
    return nginx
  }

  private async listening(port: number): Promise<void> {
    const said = text(this.child.stderr as Readable)
    while (this.child.exitCode === null) {
      const socket = connect(port, '127.0.0.1')
      try {
        await once(socket, 'connect')
        return
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 10))
      } finally {
        socket.destroy()
      }
    }
    throw new Error(await said)
  }

  async stop(): Promise<void> {
    this.child.kill('SIGQUIT')
    this.child.kill('SIGTERM')
    await once(this.child, 'exit')
    rmSync(this.directory, { recursive: true })
  }
}

function configuration(directory: string, port: number, lines: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${directory}/${name};`,
  )
  return `daemon off; master_process off; pid ${directory}/pid; error_log ${directory}/error.log;
    events {}
    http {
      access_log off; ${temporary.join(' ')}
      server {
        listen 127.0.0.1:${port};
        ${lines}
      }
    }`
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
