import { readFileSync } from 'node:fs'

// Made for these tests, for localhost and 127.0.0.1; it is worthless elsewhere. Read from the sources, because the
// compiled tests are two folders deep in build/.
const folder = new URL('../../../test/support/tls/', import.meta.url)

/** Key and self-signed certificate of the tests' TLS servers; a client trusts it by passing it as `ca`. */
export const key = readFileSync(new URL('key.pem', folder))
export const certificate = readFileSync(new URL('certificate.pem', folder))

/** The same key, with a certificate that was valid for the first day of 2024. */
export const expiredCertificate = readFileSync(new URL('expired-certificate.pem', folder))
