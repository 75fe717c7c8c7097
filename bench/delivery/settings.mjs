// What every server and every client of bench/delivery.mjs agrees on.
export const LIMIT = 100 * 1024
export const UPLOAD = 10 * 1024 * 1024
/** A client that has no complete answer after this many milliseconds gives up. */
export const PATIENCE = 3000

/** What surrounds the bytes of an upload, by its content type: multer only reads multipart, the others take JSON. */
export const types = {
  json: { contentType: 'application/json', head: '"', tail: '"' },
  multipart: {
    contentType: 'multipart/form-data; boundary=frontier',
    head:
      '--frontier\r\nContent-Disposition: form-data; name="file"; filename="file"\r\n' +
      'Content-Type: application/octet-stream\r\n\r\n',
    tail: '\r\n--frontier--\r\n',
  },
}

export function body({ head, tail }, length) {
  return Buffer.concat([Buffer.from(head), Buffer.alloc(length, 'x'), Buffer.from(tail)])
}
