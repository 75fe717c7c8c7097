import compression from 'compression'
import type { RequestHandler } from 'express'
import session from 'express-session'
import onFinished from 'on-finished'
import { autoFlush } from 'sluiceway'
import { codings } from '../support/clients/streaming-client.js'
import { expressVersions } from '../support/express/express-versions.js'
import { createZstdCompress, zstdCompression } from '../support/express/zstd-compression.js'
import { closeServers } from '../support/servers/servers.js'
import { patching } from './patches.js'
import { StreamServer, ways } from './streams.js'

const compressing: RequestHandler[] = [compression(), zstdCompression]

const arrangements: Record<string, () => RequestHandler[]> = {
  'before compression': () => [autoFlush(), ...compressing],
  'after compression': () => [...compressing, autoFlush()],
  'twice, around compression': () => [autoFlush(), ...compressing, autoFlush()],
  'before compression, behind a patch': () => [patching, autoFlush(), ...compressing],
  'before compression, with a patch between': () => [autoFlush(), patching, ...compressing],
  'before compression, with a patch after': () => [autoFlush(), ...compressing, patching],
  'after compression, behind a patch': () => [patching, ...compressing, autoFlush()],
  'after compression, with a patch between': () => [...compressing, patching, autoFlush()],
  'after compression, with a patch after': () => [...compressing, autoFlush(), patching],
  'before compression, behind on-finished and express-session': () => [
    watching,
    cookies(),
    autoFlush(),
    ...compressing,
  ],
  'before compression, with on-finished and express-session between': () => [
    autoFlush(),
    watching,
    cookies(),
    ...compressing,
  ],
  'after compression, with on-finished and express-session after': () => [
    ...compressing,
    autoFlush(),
    watching,
    cookies(),
  ],
}

const usableCodings = createZstdCompress ? [...codings, 'zstd' as const] : codings

describe('autoFlush', () => {
  for (const { name, express } of expressVersions) {
    for (const [arrangement, mount] of Object.entries(arrangements)) {
      describe(`on ${name}, mounted ${arrangement}`, () => {
        let streams: StreamServer

        before(async () => {
          streams = await StreamServer.start(express().use(...mount()))
        })
        after(closeServers)

        for (const coding of usableCodings) {
          for (const [way, open] of Object.entries(ways)) {
            it(`delivers each chunk before the next is sent: ${coding}, ${way}`, async () => {
              const { response } = await streams.pingPong(coding, open)
              const hasSession = response.headers['set-cookie'] !== undefined
              if (hasSession !== arrangement.includes('session')) throw new Error('no session was made')
            })
          }
        }
      })
    }
  }
})

/** Wraps `res.writeHead` (with on-headers) for its cookie, and `res.end`, which waits for the session's store. */
function cookies(): RequestHandler {
  return session({ secret: 'test', resave: false, saveUninitialized: true })
}

const watching: RequestHandler = (_req, res, next) => {
  onFinished(res, () => {})
  next()
}
