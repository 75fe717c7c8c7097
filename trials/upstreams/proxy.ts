import { attach, passthroughProxy, type PassthroughProxyOptions, type SluicewayError } from 'sluiceway'
import { expressVersions } from '../../test/support/express/express-versions.js'
import { serve } from '../../test/support/servers/servers.js'

/** A proxy in front of one upstream, as an application would have it. */
export interface Proxy {
  readonly port: number
  readonly url: string
  /** What `next` was given. */
  readonly errors: SluicewayError[]
}

/** Starts an Express app with one proxy to `target`, which upgrades reach too. */
export async function proxyTo(target: string, options: PassthroughProxyOptions = {}): Promise<Proxy> {
  const app = expressVersions[0].express()
  const errors: SluicewayError[] = []
  app.use(passthroughProxy(target, options))
  app.use((error: SluicewayError, _req: unknown, _res: unknown, next: (error: unknown) => void) => {
    errors.push(error)
    next(error)
  })
  const { server, port, url } = await serve(app)
  attach(server, app)
  return { port, url, errors }
}

/** The codes of the errors so far, and forgets them. */
export function takeCodes({ errors }: Proxy): string[] {
  return errors.splice(0).map(({ code }) => code)
}
