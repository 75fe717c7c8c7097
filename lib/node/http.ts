import type * as http from 'node:http'

/**
 * Node's http module. Every `import` of it evaluates all its exports, and since Node 22 some of those load Node's whole
 * `fetch`: 17 MB and 30 ms for each process.
 */
const own: typeof http = process.getBuiltinModule('node:http')

export type IncomingMessage = http.IncomingMessage
export type OutgoingMessage = http.OutgoingMessage
export type ServerResponse = http.ServerResponse

export const Agent: typeof http.Agent = own.Agent
export const IncomingMessage: typeof http.IncomingMessage = own.IncomingMessage
export const OutgoingMessage: typeof http.OutgoingMessage = own.OutgoingMessage
export const ServerResponse: typeof http.ServerResponse = own.ServerResponse
export const STATUS_CODES: typeof http.STATUS_CODES = own.STATUS_CODES
