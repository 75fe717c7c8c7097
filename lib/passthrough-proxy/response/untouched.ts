import { OutgoingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'

/** Words in the text of Node's own methods, from Node 20 to 26. Where another text is found, somebody counts as standing in front. */
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

/** The methods that a chunk goes through on its way to the kernel, as this package has found them. */
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

/** Tracers may have been there before. */
const areNodes: boolean =
  areOfNode(OutgoingMessage.prototype, ofResponse) && areOfNode(Socket.prototype, ofSocket)

/**
 * Tells whether a response goes to the kernel through Node's own methods alone. Whatever stands in front of one of them
 * may keep what it was given, and so may a stream that is no socket.
 */
export function isUntouched(res: ServerResponse): boolean {
  const { socket } = res
  if (!areNodes || !has(res, found)) return false
  return socket === null || (socket instanceof Socket && has(socket, foundInSockets))
}

/** Tells whether the head of a response is written by Node's own method alone. */
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
