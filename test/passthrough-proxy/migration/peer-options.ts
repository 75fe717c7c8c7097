import { readText } from '../../support/repository/repository.js'

/** An options interface of another proxy: where it is declared, and how that file begins it. */
const declarations = {
  'http-proxy 1.18': ['node_modules/@types/http-proxy/index.d.ts', 'interface ServerOptions {'],
  'http-proxy-middleware 3': [
    'node_modules/http-proxy-middleware/dist/types.d.ts',
    'export interface Options<',
  ],
  'http-proxy-middleware 4': [
    'test/node22/node_modules/http-proxy-middleware/dist/types.d.ts',
    'export interface Options<',
  ],
  'httpxy, which http-proxy-middleware 4 extends': [
    'test/node22/node_modules/httpxy/dist/index.d.mts',
    'interface ProxyServerOptions {',
  ],
  'the events of http-proxy-middleware 3': [
    'node_modules/http-proxy-middleware/dist/types.d.ts',
    'export interface OnProxyEvent<',
  ],
  'the events of http-proxy-middleware 4': [
    'test/node22/node_modules/http-proxy-middleware/dist/types.d.ts',
    'export interface OnProxyEvent<',
  ],
  'express-http-proxy 2': ['node_modules/@types/express-http-proxy/index.d.ts', 'interface ProxyOptions {'],
} as const

export type Peer = keyof typeof declarations
export const peers = Object.keys(declarations) as Peer[]

export function needsNode22(peer: Peer): boolean {
  return declarations[peer][0].startsWith('test/node22/')
}

/** The names that an options interface of a peer declares. */
export function namesOf(peer: Peer): string[] {
  const [file, opening] = declarations[peer]
  const [, rest = ''] = readText(file).split(opening)
  // From the line after the interface's first to the brace that closes it, at the same depth as its fields less one.
  const body = rest.slice(rest.indexOf('\n') + 1)
  const indent = /^(?: *\/?\*.*\n)*( +)\w/m.exec(body)?.[1] ?? ''
  const [fields = ''] = body.split(`\n${indent.slice(0, -4)}}`)
  return [...fields.matchAll(new RegExp(`^${indent}(\\w+)\\?:`, 'gm'))].map(([, name = '']) => name)
}
