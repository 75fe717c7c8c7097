/** Tells whether a response ends with its head (RFC 9112 §6.3). */
export function hasNoBody(method: string | undefined, status: number): boolean {
  return excludesBody(status) || method === 'HEAD'
}

/** Tells whether no response with this status has a body, whatever the method. */
export function excludesBody(status: number): boolean {
  return status === 204 || status === 304
}

/** Tells whether a Content-Type is that of server-sent events. */
export function isEventStream(contentType: string): boolean {
  return /^text\/event-stream *(?:;|$)/i.test(contentType)
}

/** Tells whether a Content-Type is plain text: browsers hold its first kilobyte back to guess the type. */
export function isPlainText(contentType: string): boolean {
  return /^\s*text\/plain\s*(?:;|$)/i.test(contentType)
}
