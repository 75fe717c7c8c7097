import compression from 'compression'
import express from 'express'
import { autoFlush, passthroughProxy } from 'sluiceway'
import type { Coding } from '../support/clients/streaming-client.js'
import { hasNginx, Nginx } from '../support/servers/nginx.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { StreamServer } from './streams.js'

const configurations: Record<string, { location?: string; coding: Coding }> = {
  'as it comes (HTTP/1.0 upstream)': { coding: 'identity' },
  'as it comes, with gzip from Node': { coding: 'gzip' },
  'with gzip on': { location: 'gzip on; gzip_types *; proxy_set_header Accept-Encoding "";', coding: 'gzip' },
  'with an HTTP/1.1 upstream': { location: 'proxy_http_version 1.1;', coding: 'identity' },
}

describe('autoFlush', () => {
  describe('behind nginx', () => {
    let nginx: Nginx

    before(function () {
      if (!hasNginx()) this.skip()
    })

    afterEach(async () => {
      await nginx.stop()
      await closeServers()
    })

    for (const [configuration, { location, coding }] of Object.entries(configurations)) {
      it(`delivers each event before the next is sent: ${configuration}`, async () => {
        const streams = await start(express().use(autoFlush(), compression()))
        nginx = await Nginx.before(streams.port, location)
        streams.url = nginx.url
        await streams.pingPong(coding)
      })

      it(`does so through passthroughProxy: ${configuration}`, async () => {
        const streams = await start(express())
        const gateway = express().use(autoFlush(), compression(), passthroughProxy(streams.url))
        nginx = await Nginx.before((await serve(gateway)).port, location)
        streams.url = nginx.url
        await streams.pingPong(coding)
      })
    }
  })
})

function start(app: ReturnType<typeof express>): Promise<StreamServer> {
  return StreamServer.start(app, 'text/event-stream')
}
