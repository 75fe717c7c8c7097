import { Socket } from 'node:net'
import { OutgoingMessage, ServerResponse } from '../../node/http.js'

/**
 * Parts of the source text of Node's own methods, from Node 20 to 26. A method with another text counts as replaced.
 */
const ofResponse = {
  write: 'write_(this, chunk,',
  end: 'write_(this, chunk,',
  _send: 'this._writeRaw(',
  _writeRaw: 'conn._httpMessage === this',
} as const

const ofSocket = {
  write: '_write(this, chunk, encoding, cb)',
  _write: 'this._writeGeneric(false, ',
  _writev: 'this._writeGeneric(true, ',
  _writeGeneric: '_pendingData',
} as const

const ofHead = { writeHead: "ERR_HTTP_HEADERS_SENT('write')" } as const

type Methods = Readonly<Record<string, unknown>>

/** The methods that pass a chunk on to the kernel, as they were when this package was loaded. */
const found: readonly (readonly [name: string, method: unknown])[] = methodsIn(
  OutgoingMessage.prototype,
  ofResponse,
)
const foundInSockets: readonly (readonly [name: string, method: unknown])[] = methodsIn(
  Socket.prototype,
  ofSocket,
)

const foundInHeads: readonly (readonly [name: string, method: unknown])[] = methodsIn(
  ServerResponse.prototype,
  ofHead,
)
const isHeadNodes: boolean = areOfNode(ServerResponse.prototype, ofHead)

/** False if a tracer had replaced one of them before. */
const areNodes: boolean =
  areOfNode(OutgoingMessage.prototype, ofResponse) && areOfNode(Socket.prototype, ofSocket)

/**
 * Tells whether a response reaches the kernel through Node's own methods alone. A method that replaces one of them
 * may keep the chunks, and so may a stream that is not a socket.
 */
export function isUntouched(res: ServerResponse): boolean {
  const { socket } = res
  if (!areNodes || !has(res, found)) return false
  return socket === null || (socket instanceof Socket && has(socket, foundInSockets))
}

/** Tells whether Node's own method alone writes the head of a response. */
export function isHeadUntouched(res: ServerResponse): boolean {
  return isHeadNodes && has(res, foundInHeads)
}

function methodsIn(prototype: object, texts: object): (readonly [string, unknown])[] {
  return Object.keys(texts).map((name) => [name, (prototype as Methods)[name]] as const)
}

function areOfNode(prototype: object, texts: Readonly<Record<string, string>>): boolean {
  return Object.entries(texts).every(([name, text]) => String((prototype as Methods)[name]).includes(text))
}

function has(owner: object, methods: typeof found): boolean {
  for (const [name, method] of methods) if ((owner as Methods)[name] !== method) return false
  return true
}
