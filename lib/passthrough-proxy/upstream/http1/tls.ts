import { isIP, type NetConnectOpts, type Socket } from 'node:net'
import type { ConnectionOptions, TLSSocket } from 'node:tls'

/** Opens verified connections to one origin, and keeps the session of the last one for the next. */
export class TlsConnector {
  private readonly options: ConnectionOptions
  private session: Buffer | undefined

  /** `options` are those of `tls.connect`, if the caller has any; `host` is the name in the origin. */
  constructor(options: ConnectionOptions, host: string) {
    this.options = {
      ALPNProtocols: ['http/1.1'],
      // An IP address is not a server name (RFC 6066 §3).
      ...(isIP(host) === 0 ? { servername: host } : undefined),
      ...options,
    }
  }

  connect(options: NetConnectOpts): Socket {
    const { session } = this
    // Loading it takes longer than everything else, so it is loaded only when it is needed.
    const tls = process.getBuiltinModule('node:tls')
    const socket = tls.connect({
      ...options,
      ...this.options,
      ...(session && { session }),
    } as ConnectionOptions)
    return socket.on('session', this.keepSession).once('error', this.dropSession)
  }

  private readonly keepSession = (session: Buffer): void => {
    this.session = session
  }

  /** Drops the session, which the server may not accept any more. */
  private readonly dropSession = (): void => {
    this.session = undefined
  }
}

/** Tells whether a connection uses TLS. */
export function isSecure(socket: Socket): boolean {
  return (socket as Partial<TLSSocket>).encrypted === true
}
