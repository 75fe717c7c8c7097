// What the servers of bench/spilled-bodies.mjs, and their client, agree on.
export const LENGTH = 100e6

/** How often each reads the upload, and whether that is a multipart form. */
export const variants = {
  'raw-body into memory, read once': { readings: 1 },
  'bodyCache, read once': { readings: 1 },
  'bodyCache, read twice': { readings: 2 },
  'a temporary file of its own, read twice': { readings: 2 },
  "multer's file, read twice": { readings: 2, isForm: true },
}

const BOUNDARY = 'frontier'
const head =
  `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="file"\r\n` +
  'Content-Type: application/octet-stream\r\n\r\n'

export function contentType(isForm) {
  return isForm ? `multipart/form-data; boundary=${BOUNDARY}` : 'application/octet-stream'
}

export function upload(length, isForm) {
  const bytes = Buffer.alloc(length, 'u')
  if (!isForm) return bytes
  return Buffer.concat([Buffer.from(head), bytes, Buffer.from(`\r\n--${BOUNDARY}--\r\n`)])
}
