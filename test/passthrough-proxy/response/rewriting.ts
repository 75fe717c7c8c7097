import { passthroughProxy, type PassthroughProxyOptions, type SluicewayError } from 'sluiceway'
import { RawClient, type RawResponse } from '../../support/clients/raw-client.js'
import type { Express } from '../../support/express/express-versions.js'
import { scriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { serve } from '../../support/servers/servers.js'

export interface Place {
  readonly mount?: string
  readonly prefix?: string
  /** A name for the upstream, where it is to be another than 127.0.0.1. */
  readonly hostname?: string
}

/** Sends the lines of an upstream through a proxy in an application of Express. */
export class Rewriting {
  private readonly express: Express

  constructor(express: Express) {
    this.express = express
  }

  /** What an upstream at `prefix` answers in `lines`, as the client of a proxy at `mount` gets it. */
  async answered(
    lines: readonly string[],
    options: PassthroughProxyOptions,
    { mount = '/api', prefix = '/v1', hostname = '127.0.0.1' }: Place = {},
    status = '302 Found',
  ): Promise<RawResponse> {
    const upstream = await scriptedUpstream()
    const app = this.express().disable('x-powered-by')
    const authority = `${hostname}:${upstream.port}`
    app.use(mount, this.express.Router().use('/', passthroughProxy(`http://${authority}${prefix}`, options)))
    app.use((error: SluicewayError, _req: unknown, res: { end(text: string): void }, _next: unknown) =>
      res.end(`${error.code}: ${error.message}`),
    )
    const client = await RawClient.connect((await serve(app)).port)
    client.request('GET', `${mount === '/' ? '' : mount}/asked`)
    const connection = await upstream.connection()
    await connection.untilText('\r\n\r\n')
    const filled = lines.map((text) =>
      text.replaceAll('UPSTREAM', authority).replaceAll('CAPITALS', authority.toUpperCase()),
    )
    connection.write(`HTTP/1.1 ${status}\r\n${filled.join('\r\n')}\r\nContent-Length: 0\r\n\r\n`)
    const response = await client.response()
    client.destroy()
    return { ...response, head: response.head.replaceAll(authority, 'UPSTREAM') }
  }

  /** The one line that is no framing. */
  async line(
    sent: string,
    options: PassthroughProxyOptions,
    place?: Place,
    status?: string,
  ): Promise<string | undefined> {
    const { head } = await this.answered([sent], options, place, status)
    return head.split('\r\n')[1]
  }
}
