import { hasNode22Packages } from '../support/node22.js'
import { compare, peersOf, type Row } from './migration.js'

/** One test for each row and each peer that has the option. */
export function runRows(rows: Readonly<Record<string, Row>>): void {
  for (const [name, row] of Object.entries(rows)) {
    for (const peer of peersOf(row)) {
      it(`${name} (${peer})`, async function () {
        if (peer === 'http-proxy-middleware 4' && !hasNode22Packages) this.skip()
        await compare(row, peer)
      })
    }
  }
}
