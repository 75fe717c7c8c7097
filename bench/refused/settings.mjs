// What the servers and clients of bench/refused-uploads.mjs agree on.
export const LIMIT = 100 * 1024
export const UPLOAD = 10 * 1024 * 1024
export const PIECE = 64 * 1024
