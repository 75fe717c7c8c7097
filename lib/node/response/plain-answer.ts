import { hasNoBody } from '../../shared/response-facts.js'
import { type ServerResponse, STATUS_CODES } from '../http.js'
import { isHttp2 } from '../request/facts.js'

/** Headers of the body that the application had in mind, but not its security policies, which are for every answer. */
const ABOUT_BODY = /^(?:content-(?!security-policy)|(?:etag|last-modified|transfer-encoding|trailer)$)/

/** Ends a response with its body, if it has one. */
type End = (body: string | undefined) => void

/**
 * Answers with the status and headers of an error, and with the phrase of that status as plain text. As in
 * finalhandler, an error without a usable status is a 500, and its headers do not count.
 */
export function answerPlainly(
  res: ServerResponse,
  error: unknown,
  end: End = (body) => void res.end(body),
): void {
  const status = statusOf(error)
  const phrase = STATUS_CODES[status ?? 500] as string
  for (const name of res.getHeaderNames()) {
    if (ABOUT_BODY.test(name)) res.removeHeader(name)
  }
  if (status !== undefined) setHeadersOf(error as Failure, res)
  res.setHeader('Content-Type', 'text/plain; charset=utf-8')
  // Node adds no length if the header has been removed.
  res.setHeader('Content-Length', phrase.length)
  writeHead(res, status ?? 500, phrase)
  // With the option `rejectNonStandardBodyWrites`, Node throws for a body after HEAD.
  end(hasNoBody(res.req.method, status ?? 500) ? undefined : phrase)
}

interface Failure {
  readonly status?: unknown
  readonly statusCode?: unknown
  readonly headers?: unknown
}

/** Returns the status of an error of http-errors, or of one like it. */
function statusOf(error: unknown): number | undefined {
  const { status, statusCode } = Object(error) as Failure
  const named = status ?? statusCode
  return typeof named === 'number' && named >= 400 && named in STATUS_CODES ? named : undefined
}

function setHeadersOf({ headers }: Failure, res: ServerResponse): void {
  for (const [name, value] of Object.entries(Object(headers) as Record<string, string>)) {
    res.setHeader(name, value)
  }
}

/**
 * Writes the head with the phrase of its status: Express 4 and other code set one for the status that is replaced.
 * HTTP/2 has none.
 */
function writeHead(res: ServerResponse, status: number, phrase: string): void {
  if (isHttp2(res.req)) res.writeHead(status)
  else res.writeHead(status, phrase)
}
