import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import compression from 'compression'
import express from 'express'
import { autoFlush, passthroughProxy } from 'sluiceway'
import { closeServers, serve } from '../support/servers.js'
import type { Coding } from './streaming-client.js'
import { StreamServer } from './streams.js'

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
        const streams = await StreamServer.start(
          express().use(autoFlush(), compression()),
          'text/event-stream',
        )
        await behindNginx(streams.port, location, streams)
        await streams.pingPong(coding)
      })

      it(`and so through passthroughProxy: ${configuration}`, async () => {
        const streams = await StreamServer.start(express(), 'text/event-stream')
        const gateway = express().use(autoFlush(), compression(), passthroughProxy(streams.url))
        await behindNginx((await serve(gateway)).port, location, streams)
        await streams.pingPong(coding)
      })
    }

    async function behindNginx(upstream: number, location: string, streams: StreamServer): Promise<void> {
      const port = await freePort()
      running = start(port, upstream, location)
      await listening(port)
      streams.url = `http://127.0.0.1:${port}`
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
