import type { IncomingHttpHeaders, OutgoingHttpHeader, ServerResponse } from 'node:http'

/* The headers of a head may be arguments of `writeHead`, in any of the forms that Node takes, or set before. */

type HeaderArgument = Readonly<Record<string, OutgoingHttpHeader>> | HeaderList
/** Names and values in turn, or pairs of both. */
type HeaderList = readonly unknown[]

/** Reads a header from the arguments of `writeHead`, or else from the response. */
export function givenHeader(res: ServerResponse, args: unknown[], name: keyof IncomingHttpHeaders): unknown {
  const given = args[headerIndex(args)] as HeaderArgument | undefined
  return (given && valueIn(given, String(name))) ?? res.getHeader(String(name))
}

/** Returns the index of the headers: `writeHead(status, headers)` or `writeHead(status, reason, headers)`. */
function headerIndex(args: unknown[]): number {
  return typeof args[1] === 'object' && args[1] !== null ? 1 : 2
}

function isList(headers: HeaderArgument): headers is HeaderList {
  return Array.isArray(headers)
}

function valueIn(headers: HeaderArgument, name: string): unknown {
  return pairsOf(headers).find(([key]) => String(key).toLowerCase() === name)?.[1]
}

function pairsOf(headers: HeaderArgument): (readonly [unknown, unknown])[] {
  if (!isList(headers)) return Object.entries(headers)
  if (Array.isArray(headers[0])) return headers as [unknown, unknown][]
  return headers.flatMap((name, i) => (i % 2 === 0 ? [[name, headers[i + 1]] as const] : []))
}

/**
 * Adds a header to the headers of the caller, unless the response has it. `setHeader` before a `writeHead` with a list
 * would make Node drop all but the last line of a repeated header, such as Set-Cookie.
 */
export function withHeader(res: ServerResponse, args: unknown[], name: string, value: string): unknown[] {
  if (givenHeader(res, args, name.toLowerCase()) !== undefined) return args
  const index = headerIndex(args)
  const given = args[index] as HeaderArgument | undefined
  if (!given) {
    res.setHeader(name, value)
    return args
  }
  return args.with(index, including(given, name, value))
}

function including(headers: HeaderArgument, name: string, value: string): HeaderArgument {
  if (!isList(headers)) return { ...headers, [name]: value }
  return Array.isArray(headers[0]) ? [...headers, [name, value]] : [...headers, name, value]
}
