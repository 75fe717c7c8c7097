import { createHash } from 'node:crypto'

/** A request body, and what a reader of its bytes or of its meaning must find in it. */
export interface MatrixBody {
  readonly kind: 'json' | 'form' | 'multipart'
  readonly size: 'small' | 'large'
  readonly contentType: string
  readonly bytes: Buffer
  readonly digest: string
  readonly meaning: string
}

const BOUNDARY = 'matrix-boundary-7f3a'

/** Bodies of some 200 B and 300 KB in the three forms that parsers know. The value of the last is a file. */
export const bodies: readonly MatrixBody[] = [...sized('small', 160), ...sized('large', 300_000)]

function sized(size: MatrixBody['size'], length: number): MatrixBody[] {
  const fields = { name: 'grüße 1', value: 'x'.repeat(length) }
  return [
    body('json', size, 'application/json', JSON.stringify(fields), fields),
    body('form', size, 'application/x-www-form-urlencoded', new URLSearchParams(fields).toString(), fields),
    body('multipart', size, `multipart/form-data; boundary=${BOUNDARY}`, multipart(fields), fields),
  ]
}

function body(
  kind: MatrixBody['kind'],
  size: MatrixBody['size'],
  contentType: string,
  text: string,
  fields: Record<string, string>,
): MatrixBody {
  const bytes = Buffer.from(text)
  return { kind, size, contentType, bytes, digest: digestOf(bytes), meaning: meaningOf(fields) }
}

function multipart({ name, value }: { readonly name: string; readonly value: string }): string {
  const field = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="name"\r\n\r\n${name}\r\n`
  const file = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="value"; filename="x.txt"\r\nContent-Type: text/plain\r\n\r\n${value}\r\n`
  return `${field}${file}--${BOUNDARY}--\r\n`
}

/** Stands for exactly these bytes. */
export function digestOf(bytes: Buffer | string): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** Stands for exactly these fields, in whatever object a parser put them. */
export function meaningOf(fields: unknown): string {
  return digestOf(JSON.stringify(Object.entries(fields as Record<string, unknown>).toSorted(byName)))
}

function byName([first]: [string, unknown], [second]: [string, unknown]): number {
  return first < second ? -1 : 1
}
