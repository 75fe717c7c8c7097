/** Signatures and fingerprints, as the server makes them. */

const algorithm = { name: 'HMAC', hash: 'SHA-256' }

/** Browsers have these functions on https and localhost pages only. */
export const canSign: boolean = globalThis.crypto?.subtle !== undefined

export async function sign(bytes: Uint8Array<ArrayBuffer>, secret: string): Promise<string> {
  const key = await crypto.subtle.importKey('raw', new TextEncoder().encode(secret), algorithm, false, [
    'sign',
  ])
  return hex(await crypto.subtle.sign('HMAC', key, bytes))
}

export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return hex(await crypto.subtle.digest('SHA-256', bytes))
}

function hex(buffer: ArrayBuffer): string {
  return Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
