import { expect } from 'chai'
import { type ForeignWrite, foreignWrites } from '../support/repository/foreign-writes.js'
import { filesBelow, readText } from '../support/repository/repository.js'

const page = readText('lib/node/README.md')

/** The rows of the tables below a line of the page. */
function rowsBelow(line: string): string[][] {
  const [, below = ''] = page.split(`\n${line}\n`)
  const [table = ''] = below.trim().split(/\n\n/)
  return table
    .split('\n')
    .slice(2)
    .map((row) => row.split('|').map((cell) => cell.trim()))
}

/** Each member of a table, with the file that writes it. */
function writesIn(rows: string[][]): ForeignWrite[] {
  return rows.flatMap(([, , members = '', file = '']) =>
    [...members.matchAll(/`([^`]+)`/g)].map(([, member = '']) => ({
      file: file.replaceAll('`', ''),
      member,
    })),
  )
}

function linesOf(writes: readonly ForeignWrite[]): string[] {
  return writes.map(({ file, member }) => `${file}: ${member}`).toSorted()
}

describe('lib/node/README.md', () => {
  const methods = writesIn(rowsBelow('Methods that are replaced:'))
  const fields = writesIn(rowsBelow('Fields that are written:'))
  const [, ownKeys = ''] = page.split('Our own state, under a key:')
  const own = [...ownKeys.matchAll(/`(\[\w+\])`/g)].map(([, key = '']) => key)
  let found: ForeignWrite[]

  before(function () {
    this.timeout(60_000) // a compiler reads all of lib
    found = foreignWrites()
  })

  it('lists everything that lib replaces or writes on foreign objects, and nothing else', () => {
    const foreign = found.filter(({ member }) => !own.includes(member))
    expect(linesOf(foreign)).to.have.length.above(30)
    expect(linesOf([...methods, ...fields])).to.deep.equal(linesOf(foreign))
  })

  it('lists each key under which lib keeps state there', () => {
    const written = new Set(found.map(({ member }) => member))
    expect(own.filter((key) => !written.has(key))).to.deep.equal([])
    const declared = [...readText('lib/node/keys.ts').matchAll(/^export const (\w+):/gm)].map(
      ([, key]) => key,
    )
    expect(
      declared.filter((key) => !ownKeys.includes(`${key}\``) && !own.includes(`[${key}]`)),
    ).to.deep.equal([])
  })

  it('lists each member in one file only, and no more members than before', () => {
    // The `write` of a compressor is not that of a response, nor the `emit` of a server that of a stream.
    const others = ['auto-flush/compressor.ts', 'attach/other-listeners.ts']
    const all = [...methods, ...fields].filter(({ file }) => !others.includes(file))
    expect(new Set(all.map(({ member }) => member))).to.have.property('size', all.length)
    // Two of them make the socket of a function adapter listenable, one lets a reader give bytes back, one keeps the rounds of
    // a request whose listeners are all removed. One answers for `closed`, so that code which then waits is told. Four
    // discard the headers of an answer that comes too late.
    expect(methods, 'methods').to.have.length.at.most(30)
    // One of them lets a tunnel go of the response to its upgrade, one tells a logger that a request was cut, one keeps
    // a request of a function adapter readable that the adapter has marked as finished, and two give an upgrade that
    // the app has passed on to its other listeners as they know it. One more leaves the head to a middleware that
    // changes the body, and one lets the next reader of a request go on with bytes that were given back.
    // Another tells code over HTTP/2 that a body has come whole, as over HTTP/1. One removes the exit of an earlier child.
    // One makes a written head say that the connection closes. The latest hides a reset from undici 7, which fails over it.
    expect(fields, 'fields').to.have.length.at.most(35)
  })

  it('names only files that exist, and members that are used there', () => {
    const files = [...page.matchAll(/`((?:[\w-]+\/)*[\w-]+\.ts)`/g)].map(([, file = '']) => `lib/${file}`)
    const known = [...filesBelow('lib'), ...filesBelow('test').map((file) => `lib/${file}`)]
    expect(files.filter((file) => !known.includes(file))).to.deep.equal([])
  })
})

describe('lib outside lib/node', () => {
  it('destructures no member with an underscore either', () => {
    const named = filesBelow('lib')
      .filter((file) => file.endsWith('.ts') && !file.startsWith('lib/node/'))
      .filter((file) => /\{[^{}()]*\b_\w+[^{}()]*\} = /.test(readText(file)))
    expect(named).to.deep.equal([])
  })

  it('creates no symbol of its own', () => {
    const named = filesBelow('lib').filter((file) => /\bSymbol(?:\.for)?\(/.test(readText(file)))
    expect(named).to.deep.equal(['lib/node/internals.ts', 'lib/node/keys.ts'])
  })
})
