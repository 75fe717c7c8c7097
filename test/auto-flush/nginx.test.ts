import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import compression from 'compression'
import express, { type Response } from 'express'
import { autoFlush } from 'sluiceway'
import { closeServers, serve } from '../support/servers.js'
import { type Coding, StreamingClient } from './streaming-client.js'

const nginx = '/usr/sbin/nginx'

const configurations: Record<string, { location?: string; coding: Coding }> = {
  'as it comes (HTTP/1.0 upstream)': { coding: 'identity' },
  'as it comes, with gzip from Node': { coding: 'gzip' },
  'with gzip on': { location: 'gzip on; gzip_types *; proxy_set_header Accept-Encoding "";', coding: 'gzip' },
  'with an HTTP/1.1 upstream': { location: 'proxy_http_version 1.1;', coding: 'identity' },
}

describe('autoFlush', () => {
  describe('behind nginx', () => {
    let running: { child: ChildProcess; directory: string } | undefined

    before(function () {
      if (existsSync(nginx)) return
      console.log(`      skipped: there is no ${nginx}`)
      this.skip()
    })

    afterEach(async () => {
      if (running !== undefined) {
        running.child.kill('SIGQUIT')
        running.child.kill('SIGTERM')
        await once(running.child, 'exit')
        rmSync(running.directory, { recursive: true })
        running = undefined
      }
      await closeServers()
    })

    for (const [configuration, { location = '', coding }] of Object.entries(configurations)) {
      it(`delivers each event before the next is sent: ${configuration}`, async () => {
        const app = express()
        app.use(autoFlush(), compression())
        const handled = new Promise<Response>((resolve) => {
          app.get('/', (_req, res) => {
            res.type('text/event-stream').write('data: 0\n\n')
            resolve(res)
          })
        })
        const upstream = await serve(app)
        const port = await freePort()
        running = start(port, upstream.port, location)
        await listening(port)
        const client = await StreamingClient.get(`http://127.0.0.1:${port}`, coding)
        const res = await handled
        for (let n = 0; n < 5; n++) {
          await client.received(`data: ${n}\n\n`)
          res.write(`data: ${n + 1}\n\n`)
        }
        res.end()
        await client.ended()
      })
    }
  })
})

function start(port: number, upstream: number, location: string): { child: ChildProcess; directory: string } {
  const directory = mkdtempSync(path.join(tmpdir(), 'sluiceway-nginx-'))
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${directory}/${name};`,
  )
  writeFileSync(
    path.join(directory, 'nginx.conf'),
    `daemon off; master_process off; pid ${directory}/pid; error_log ${directory}/error.log;
     events {}
     http {
       access_log off; ${temporary.join(' ')}
       server {
         listen 127.0.0.1:${port};
         location / { proxy_pass http://127.0.0.1:${upstream}; ${location} }
       }
     }`,
  )
  const child = spawn(nginx, ['-p', directory, '-c', path.join(directory, 'nginx.conf')], { stdio: 'ignore' })
  return { child, directory }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function listening(port: number): Promise<void> {
  for (;;) {
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
}
