import { createHash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import path from 'node:path'
import { listen, type TestServer } from '../../test/support/servers/servers.js'
import { load, versionOf } from './packages.js'
import { temporaryFolder } from './program.js'
import { type Proxy, proxyTo, takeCodes } from './proxy.js'
import type { Trial } from './trial.js'

/** As much of the packages as is used here. */
interface TusServerModule {
  readonly Server: new (options: object) => {
    handle(req: IncomingMessage, res: ServerResponse): Promise<unknown>
  }
}
interface TusStoreModule {
  readonly FileStore: new (options: object) => object
}
interface Upload {
  url: string | null
  start(): void
  abort(): Promise<void>
}
interface TusClientModule {
  readonly Upload: new (body: Buffer, options: object) => Upload
}

const BYTES = 20_000_000
const BREAKS = 4
const file = randomBytes(BYTES)

/** tus: uploads that go on where they were interrupted. */
export async function tus(trial: Trial): Promise<void> {
  const { Server: TusServer } = await load<TusServerModule>('@tus/server')
  const { FileStore } = await load<TusStoreModule>('@tus/file-store')
  const client = await load<TusClientModule>('tus-js-client')
  trial.server = `${versionOf('@tus/server')}, ${versionOf('tus-js-client')}`
  const directory = temporaryFolder()
  // The URL of an upload is that of the proxy, as X-Forwarded-Host says.
  const options = { path: '/files', respectForwardedHeaders: true, datastore: new FileStore({ directory }) }
  const server = new TusServer(options)
  const upstream = await listen(createServer((req, res) => void server.handle(req, res)))
  const proxy = await proxyTo(upstream.url)
  const trials = new Uploads(trial, client, { directory, upstream, proxy })
  await trials.whole()
  await trials.inPieces()
  await trials.interrupted()
  await trials.brokenOff()
}

interface Place {
  readonly directory: string
  readonly upstream: TestServer
  readonly proxy: Proxy
}

class Uploads {
  private readonly trial: Trial
  private readonly client: TusClientModule
  private readonly place: Place

  constructor(trial: Trial, client: TusClientModule, place: Place) {
    this.trial = trial
    this.client = client
    this.place = place
  }

  async whole(): Promise<void> {
    const url = await this.upload({})
    this.check('in one request', url)
  }

  async inPieces(): Promise<void> {
    const url = await this.upload({ chunkSize: 1_000_000 })
    this.check('in 20 requests', url)
    const { proxy } = this.place
    this.trial.holds('the URL is that of the proxy', url.startsWith(`${proxy.url}/files/`), () => url)
    const codes = takeCodes(proxy)
    this.trial.holds('no errors', codes.length === 0, () => codes.join(', '))
  }

  /** The client stops, and goes on with what the server says it has. */
  async interrupted(): Promise<void> {
    const first = await this.stoppedAt(5_000_000)
    const offsets: number[] = []
    const onProgress = (sent: number): void => void offsets.push(sent)
    const url = await this.upload({ uploadUrl: first, chunkSize: 1_000_000, onProgress })
    this.check('after an interruption', url)
    this.trial.holds('it goes on where it was', offsets[0]! >= 4_000_000, () => String(offsets[0]))
  }

  /** The server breaks its connections, over and over: the client gets a 502, and goes on where the server is. */
  async brokenOff(): Promise<void> {
    const { upstream, proxy } = this.place
    let breaks = 0
    upstream.server.on('request', ({ method, socket }: IncomingMessage) => {
      if (method !== 'PATCH' || breaks === BREAKS) return
      breaks += 1
      setTimeout(() => socket.resetAndDestroy(), 5)
    })
    const url = await this.upload({ retryDelays: Array.from({ length: 2 * BREAKS }, () => 50) })
    this.check(`over ${BREAKS} broken connections`, url)
    const codes = takeCodes(proxy)
    this.trial.note(`${breaks} broken connections, errors ${codes.join(', ')}`)
    this.trial.holds('connections were broken', breaks === BREAKS && codes.length > 0)
  }

  private async stoppedAt(bytes: number): Promise<string> {
    return await new Promise((resolve, reject) => {
      const upload = new this.client.Upload(file, {
        ...this.options,
        chunkSize: 1_000_000,
        onError: reject,
        onProgress: (sent: number) => {
          if (sent >= bytes) void upload.abort().then(() => resolve(upload.url!))
        },
      })
      upload.start()
    })
  }

  private get options(): object {
    return { endpoint: `${this.place.proxy.url}/files`, metadata: { filename: 'a file' }, retryDelays: null }
  }

  private async upload(more: object): Promise<string> {
    return await new Promise((resolve, reject) => {
      const onSuccess = (): void => resolve(upload.url!)
      const upload = new this.client.Upload(file, { ...this.options, onSuccess, onError: reject, ...more })
      upload.start()
    })
  }

  private check(name: string, url: string): void {
    const kept = readFileSync(path.join(this.place.directory, url.split('/').pop()!))
    this.trial.same(`an upload ${name}`, digest(file), digest(kept))
  }
}

function digest(bytes: Buffer): string {
  return createHash('sha1').update(bytes).digest('hex')
}
