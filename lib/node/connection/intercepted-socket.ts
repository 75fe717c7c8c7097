import { Socket } from 'node:net'

/**
 * Tells whether other code, such as nock 15, has taken over a socket as it was opened, and pushes the bytes that it
 * receives: with `onread`, Node reads by itself instead, which fails on a socket that is connected to nothing.
 */
export function isIntercepted(socket: Socket): boolean {
  return Object.hasOwn(socket, '_read')
}

const prototype: { readonly connect: unknown } = Socket.prototype

/** Returns the method that opens each socket. Code that intercepts all sockets replaces it, and puts it back. */
export function openingMethod(): unknown {
  return prototype.connect
}

/**
 * Opens a socket as `http.request` would. msw 3 intercepts all sockets, but mocks only what is sent on one that was
 * opened while its `http.request` ran, and nock 15 records nothing else. The request itself gets no socket, and sends
 * nothing; one that is replaced may call late, or throw.
 */
export function openAsRequest(open: () => Socket): Socket {
  let opened: Socket | undefined
  const createConnection = (): undefined => {
    opened ??= open()
  }
  try {
    // Such libraries replace a property of the module.
    process.getBuiltinModule('node:http').request({ createConnection }).on('error', ignore)
  } catch {}
  return (opened ??= open())
}

function ignore(): void {}
