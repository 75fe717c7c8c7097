import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

// Made for these tests, for localhost and 127.0.0.1; it is worthless elsewhere. Read from the sources, because the
// compiled tests lie in build/.
const folder = new URL('../../../../test/support/servers/tls/', import.meta.url)

/** Key and self-signed certificate of the tests' TLS servers; a client trusts it by passing it as `ca`. */
export const key = readFileSync(new URL('key.pem', folder))
export const certificate = readFileSync(new URL('certificate.pem', folder))

/** The same key, with a certificate that was valid for the first day of 2024. */
export const expiredCertificate = readFileSync(new URL('expired-certificate.pem', folder))

/** An authority of its own, whose key is gone, and what it has signed for the same key. */
export const authority = readFileSync(new URL('authority.pem', folder))
/** For internal.example, shop.example and localhost, but no address. */
export const serverCertificate = readFileSync(new URL('server-certificate.pem', folder))
/** Of a client that is called gateway. */
export const clientCertificate = readFileSync(new URL('client-certificate.pem', folder))

/** The file of one of these certificates, or of the key, for a program that reads files. */
export function tlsFile(name: 'authority' | 'client-certificate' | 'key'): string {
  return fileURLToPath(new URL(`${name}.pem`, folder))
}
