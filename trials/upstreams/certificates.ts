import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { expiredCertificate, key as testKey } from '../../test/support/servers/tls-certificate.js'
import { requireProgram, source, temporaryFolder } from './program.js'

/** A certificate with its key: the files, and what is in them. */
export interface Certificate {
  readonly files: { readonly key: string; readonly cert: string }
  readonly key: Buffer
  readonly cert: Buffer
}

/** An authority of its own, which nobody else trusts. */
export class Authority {
  private readonly folder = temporaryFolder()
  private readonly openssl = requireProgram('openssl', 'openssl')
  private readonly root: Certificate

  constructor() {
    this.root = this.make('ca', '-subj', '/CN=A Private CA', '-addext', 'basicConstraints=critical,CA:TRUE')
  }

  /** What a client trusts it by. */
  get ca(): Buffer {
    return this.root.cert
  }

  get file(): string {
    return this.root.files.cert
  }

  /** Signs a certificate for names such as `DNS:a.example` and `IP:127.0.0.1`. */
  sign(name: string, names: string): Certificate {
    const { key, cert } = this.root.files
    return this.make(
      name,
      '-subj',
      `/CN=${name}`,
      '-addext',
      `subjectAltName=${names}`,
      '-CA',
      cert,
      '-CAkey',
      key,
    )
  }

  /** One that nobody has signed. */
  selfSigned(name: string, names: string): Certificate {
    return this.make(name, '-subj', `/CN=${name}`, '-addext', `subjectAltName=${names}`)
  }

  private make(name: string, ...args: readonly string[]): Certificate {
    const files = { key: path.join(this.folder, `${name}.key`), cert: path.join(this.folder, `${name}.cert`) }
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
    this.run('req', '-x509', ...curve, '-days', '2', '-keyout', files.key, '-out', files.cert, ...args)
    return { files, key: readFileSync(files.key), cert: readFileSync(files.cert) }
  }

  private run(...args: readonly string[]): void {
    execFileSync(this.openssl, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  }
}

/** One that was valid on the first day of 2024; a client trusts it by passing it as `ca`. */
export function expired(): Certificate {
  const file = (name: string): string => source(`../../test/support/servers/tls/${name}.pem`)
  return {
    files: { key: file('key'), cert: file('expired-certificate') },
    key: testKey,
    cert: expiredCertificate,
  }
}
