import { readdirSync } from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect } from 'chai'
import { readText, root } from '../support/repository/repository.js'

// One truth: a measured figure is made from bench/results, or it is measured by hand, stands on one page, and is listed
// with its origin in bench/by-hand.json. So no two pages can give different figures for the same thing unnoticed.

/** What bench/report/page.mjs and bench/report/parts.mjs export. */
interface Report {
  /** The text of each page that is made from the results, whole or in part. */
  pagesOf(this: void): Map<string, string>
  withoutParts(this: void, page: string): string
}

interface ByHand {
  readonly page: string
  readonly what: string
  readonly figure: string
  readonly from: string
}

async function report(): Promise<Report> {
  const files = ['page', 'parts'].map((name) => pathToFileURL(`${root}/bench/report/${name}.mjs`).href)
  const modules = await Promise.all(files.map(async (file) => (await import(file)) as Partial<Report>))
  return Object.assign({}, ...modules) as Report
}

const byHand = JSON.parse(readText('bench/by-hand.json')) as ByHand[]

/** Pages whose whole text is made from the results or from the code. */
const generated = new Set(['docs/benchmarks.md', 'docs/api.md'])
const docs = readdirSync(`${root}/docs`, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.md'))
  .map((file) => `docs/${file.split(path.sep).join('/')}`)
const pages = ['README.md', 'SECURITY.md', 'CONTRIBUTING.md', ...docs].filter((page) => !generated.has(page))

const MICROSECONDS = /\d ?(?:µs|us)\b/
const AMOUNT = /\d ?(?:ms|s|KB|MB|GB|MiB|%)(?!\w)|\d of \d/
const RATIO = /\b\d\.\d\d\b/
const MEASURED = /\bmeasured\b|\bmedian|\bresident memory\b|\bCPU\b|\badds? \d|\d of \d+ \w+ (?:got|arrived)/i

/** A line gives the cost of something: microseconds, or an amount beside a word that says that it was measured. */
function isFigure(line: string): boolean {
  return MICROSECONDS.test(line) || (AMOUNT.test(line) && MEASURED.test(line))
}

/** A row of a table with a column for each version of Node, or for CPU or memory. */
function isMeasuredRow(head: string, row: string): boolean {
  const hasNodes = /\| *Node \d/.test(head) && RATIO.test(row)
  return hasNodes || (/\b(?:CPU|peak memory)\b/.test(head) && AMOUNT.test(row))
}

interface Line {
  readonly text: string
  readonly number: number
  /** The head of the table that it is in. */
  readonly head: string
}

/** The lines of a page that people write, outside of code and of what is made from the results. */
function linesOf(page: string): Line[] {
  let head = ''
  const text = page.replaceAll(/^```[^]*?^```$/gm, (code) => code.replaceAll(/[^\n]/g, ''))
  return text.split('\n').map((line, index) => {
    if (!line.startsWith('|')) head = ''
    else if (head === '') head = line
    return { text: line, number: index + 1, head }
  })
}

function figuresOf(page: string): Line[] {
  return linesOf(page).filter(
    ({ text, head }) => isFigure(text) || (text !== head && isMeasuredRow(head, text)),
  )
}

/** True if a figure of the list is in this line, or in the head of its table. */
function isListed(page: string, { text, head }: Line): boolean {
  return byHand.some(
    (entry) =>
      entry.page === page && entry.figure.split('\n').some((part) => text.includes(part) || head === part),
  )
}

describe('the measured figures of the pages', () => {
  it('are those of bench/results wherever they are made from them', async () => {
    for (const [page, text] of (await report()).pagesOf())
      expect(readText(page) === text, `${page}: run \`npm run bench -- report\``).to.equal(true)
  })

  for (const page of pages) {
    it(`of ${page}, if made by hand, are listed with their origin`, async () => {
      const { withoutParts } = await report()
      const unlisted = figuresOf(withoutParts(readText(page))).filter((line) => !isListed(page, line))
      expect(
        unlisted.map(({ number, text }) => `${page}:${number}: ${text}`),
        'add it to bench/by-hand.json, or make it a part of bench/report/parts',
      ).to.deep.equal([])
    })
  }

  it('of README are made from the results, all of those in tables', async () => {
    const [, measured = ''] = readText('README.md').split('\n## Measured\n')
    const [section = ''] = measured.split('\n## ', 1)
    const { withoutParts } = await report()
    expect(section).to.include('\n|')
    expect(withoutParts(section)).to.not.include('\n|')
  })

  it('are on one page each if made by hand', () => {
    for (const { page, figure, what } of byHand) {
      const holders = [...pages, ...generated].filter((each) => readText(each).includes(figure))
      expect(holders, what).to.deep.equal([page])
    }
  })

  it('have one entry for each thing that is measured by hand', () => {
    const subjects = byHand.map(({ what }) => what)
    expect(subjects).to.deep.equal([...new Set(subjects)])
  })

  for (const line of [
    'it costs 12 µs',
    'adds 3 MB of resident memory',
    '5 ms, measured on Node 24',
    '4us more',
  ])
    it(`are distinguished from other numbers: "${line}"`, () => expect(isFigure(line)).to.equal(true))

  for (const line of ['a limit of 10 MB', 'waits 30 ms', 'Node 20.19 and later', 'uses the status of 413'])
    it(`are distinguished from other numbers: not "${line}"`, () => expect(isFigure(line)).to.equal(false))
})
