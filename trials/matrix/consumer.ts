import type { IncomingMessage, ServerResponse } from 'node:http'
import { digestOf, type MatrixBody, meaningOf } from './bodies.js'

/** One way of reading a request. */
export interface Consumer {
  readonly name: string
  /** Kinds of body that it can read; all of them where absent. */
  readonly kinds?: readonly MatrixBody['kind'][] | undefined
  /** The framing that it can read, where it is right for one only, with or without us. */
  readonly framing?: 'Content-Length' | undefined
  /** What `read` resolves to stands for: exactly these bytes, or these fields. */
  readonly finds: 'digest' | 'meaning'
  /** Reads the body. `upstream` is the URL of a server that answers with the digest of what it was sent. */
  readonly read: (req: IncomingMessage, res: ServerResponse, upstream: string) => Promise<string>
}

/** Reads the bytes. */
export function bytes(
  name: string,
  read: (req: IncomingMessage, res: ServerResponse) => Promise<Buffer | string>,
): Consumer {
  return { name, finds: 'digest', read: async (req, res) => digestOf(await read(req, res)) }
}

/** Reads the fields of a form, or of an object. */
export function fields(
  name: string,
  kinds: readonly MatrixBody['kind'][],
  read: (req: IncomingMessage, res: ServerResponse) => Promise<object>,
): Consumer {
  return { name, kinds, finds: 'meaning', read: async (req, res) => meaningOf(await read(req, res)) }
}

/** Sends what it reads to the upstream, and finds what that found. */
export function sender(name: string, read: Consumer['read']): Consumer {
  return { name, finds: 'digest', read }
}
