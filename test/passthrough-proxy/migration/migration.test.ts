import { expect } from 'chai'
import { hasNode22Packages, isNode22Installed } from '../../support/repository/node22.js'
import { readText } from '../../support/repository/repository.js'
import { closeServers } from '../../support/servers/servers.js'
import { needsOwnClient } from '../../support/undici/transports.js'
import { expressHttpProxyRows } from './express-http-proxy.js'
import { compare, peersOf, type Row } from './harness.js'
import { middlewareRows } from './http-proxy-middleware.js'
import { responseRows } from './http-proxy-responses.js'
import { requestRows } from './http-proxy.js'
import { namesOf, needsNode22, peers } from './peer-options.js'

const PAGE = 'docs/recipes/from-http-proxy-middleware.md'

/** The tables of the page, by their headings, and the rows that run each. */
const tables: Readonly<Record<string, Readonly<Record<string, Row>>>> = {
  'The options of http-proxy': { ...requestRows, ...responseRows },
  'The options and events of http-proxy-middleware': middlewareRows,
  'The options of express-http-proxy': expressHttpProxyRows,
}

/** One line of a table: what it is called there, and what differs here. */
interface Line {
  readonly names: readonly string[]
  readonly difference: string
}

function linesUnder(heading: string): Line[] {
  const [, section = ''] = readText(PAGE).split(`\n### ${heading}\n`)
  const [table = ''] = /^\|(?:.*\n\|)+.*/m.exec(section) ?? []
  const [, , ...lines] = table.split('\n')
  return lines.map((line) => {
    const [, there = '', , difference = ''] = line.split(/(?<!\\)\|/).map((cell) => cell.trim())
    return { names: [...there.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name), difference }
  })
}

/** The options that the tests of connections run. */
const CONNECTIONS = [
  ...readText('test/passthrough-proxy/migration/connections.test.ts').matchAll(/^ +it\('([\w., ]+)'/gm),
].flatMap(([, names = '']) => names.split(', '))

/** Options that the lines of others show. */
const SHOWN_BELOW = ['on']

/** `cookieDomainRewrite: object` is a case of `cookieDomainRewrite`. */
function optionsOf(row: string): string[] {
  return row.replace(/:.*/, '').split(', ')
}

describe('migration', () => {
  for (const [heading, rows] of Object.entries(tables)) {
    describe(heading.toLowerCase(), () => {
      afterEach(closeServers)

      for (const [name, row] of Object.entries(rows)) {
        for (const peer of peersOf(row)) {
          it(`${name} (${peer})`, async function () {
            if (peer === 'http-proxy-middleware 4' && !hasNode22Packages) this.skip()
            if (row.needsOwnClient !== undefined) needsOwnClient(this, row.needsOwnClient)
            await compare(row, peer)
          })
        }
      }
    })
  }
})

describe('the migration page', () => {
  for (const [heading, rows] of Object.entries(tables)) {
    it(`has a line for each row that is run, and no other: ${heading.toLowerCase()}`, () => {
      const names = linesUnder(heading).flatMap((line) => line.names)
      const run = [...new Set(Object.keys(rows).flatMap(optionsOf))]
      expect(names).to.include.members(run)
      expect([...run, ...CONNECTIONS, ...SHOWN_BELOW]).to.include.members(names)
      expect(new Set(names)).to.have.property('size', names.length)
    })

    it(`names a difference only if there is one: ${heading.toLowerCase()}`, () => {
      const differing = Object.entries(rows).filter(([, { differs }]) => differs !== undefined)
      const run = new Set(Object.keys(rows).flatMap(optionsOf))
      const expected = new Set(differing.flatMap(([name]) => optionsOf(name)))
      for (const { names, difference } of linesUnder(heading)) {
        if (!names.some((name) => run.has(name))) continue
        const differs = names.some((name) => expected.has(name))
        expect(difference === '–', `${String(names)}: ${difference}`).to.equal(!differs)
      }
    })
  }

  it('has a line for every option and event of the peers', function () {
    if (!isNode22Installed) this.skip()
    const names = Object.keys(tables).flatMap((heading) => linesUnder(heading).flatMap((line) => line.names))
    for (const peer of peers) {
      const prefix = peer.startsWith('the events') ? 'on.' : ''
      expect(names, peer).to.include.members(namesOf(peer).map((name) => prefix + name))
    }
    expect(peers.some(needsNode22)).to.equal(true)
  })
})
