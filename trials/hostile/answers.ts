/** One final answer as it stood on the wire. */
export interface Answer {
  readonly status: number
  /** Which message the application meant; undefined where no application saw it. */
  readonly id: string | undefined
  readonly body: string
}

interface Parsed {
  readonly end: number
  readonly body: string
}

/** The whole final answers at the start of `text`; `ended` tells that nothing more will come. */
export function answersIn(text: string, ended: boolean): Answer[] {
  const answers: Answer[] = []
  for (let start = 0; ;) {
    const headEnd = text.indexOf('\r\n\r\n', start)
    if (headEnd === -1) return answers
    const head = text.slice(start, headEnd)
    const status = Number(head.slice(9, 12))
    const parsed = isInterim(status) ? { end: headEnd + 4, body: '' } : bodyAt(text, headEnd + 4, head, ended)
    if (parsed === undefined) return answers
    start = parsed.end
    if (!isInterim(status)) answers.push({ status, id: valueOf(head, 'x-id'), body: parsed.body })
  }
}

function isInterim(status: number): boolean {
  return status >= 100 && status < 200
}

function valueOf(head: string, name: string): string | undefined {
  return new RegExp(`^${name}: *(.*?) *$`, 'im').exec(head)?.[1]
}

function bodyAt(text: string, start: number, head: string, ended: boolean): Parsed | undefined {
  if (/^transfer-encoding: *chunked/im.test(head)) return chunksAt(text, start)
  const length = valueOf(head, 'content-length')
  if (length === undefined) return withoutLength(text, start, head, ended)
  const end = start + Number(length)
  return end > text.length ? undefined : { end, body: text.slice(start, end) }
}

/** Node's own answer to what it cannot parse has no length and no body; any other lasts until the end. */
function withoutLength(text: string, start: number, head: string, ended: boolean): Parsed | undefined {
  if (/^HTTP\/1\.1 4\d\d [^\r]*\r\nConnection: close$/.test(head)) return { end: start, body: '' }
  return ended ? { end: text.length, body: text.slice(start) } : undefined
}

function chunksAt(text: string, start: number): Parsed | undefined {
  let body = ''
  for (let at = start; ;) {
    const lineEnd = text.indexOf('\r\n', at)
    if (lineEnd === -1) return undefined
    const size = Number.parseInt(text.slice(at, lineEnd), 16)
    const end = lineEnd + 2 + size
    if (text.length < end + 2) return undefined
    body += text.slice(lineEnd + 2, end)
    at = end + 2
    if (size === 0) return { end: at, body }
  }
}
