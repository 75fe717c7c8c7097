import fs from 'node:fs'
import { expect } from 'chai'
import { readText, root } from '../support/repository/repository.js'

/** The rows of docs/defaults.md: the name of each number and its default on the page. */
const rows = readText('docs/defaults.md')
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| of '))
  .map((line) => line.split('|').map((cell) => cell.trim()))
  .map(([, of = '', name = '', value = '', reason = '']) => ({
    of,
    name: name.replaceAll('`', ''),
    value,
    reason,
  }))

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  ms: 1,
  s: 1000,
  KB: 1024,
  MB: 1024 ** 2,
  GB: 1024 ** 3,
  kb: 1024,
  mb: 1024 ** 2,
  gb: 1024 ** 3,
}

/** A number with or without a unit, on the page or in the code; undefined for any other text. */
function numberOf(value: string): number | undefined {
  const [, digits, unit = ''] = /^'?([\d_,]+) ?(\w*)'?$/.exec(value) ?? []
  return digits === undefined ? undefined : Number(digits.replaceAll(/[_,]/g, '')) * UNITS[unit]!
}

const files = fs
  .readdirSync(`${root}/lib`, { recursive: true, encoding: 'utf8' })
  // Codes of a protocol are nobody's defaults.
  .filter((name) => name.endsWith('.ts') && !name.endsWith('-codes.ts'))
  .map((name) => ({ name: `lib/${name}`, code: readText(`lib/${name}`) }))

/** The defaults of options that are numbers: each is the first argument of the option's check. */
function optionDefaults(): { file: string; name: string; value: number }[] {
  const check = /^ +(\w+): (?:byteSize|milliseconds|timeLimit|wholeNumber)\(('[^']+'|[\d_]+)/gm
  return files.flatMap(({ name: file, code }) =>
    [...code.matchAll(check)].map(([, name = '', value = '']) => ({ file, name, value: numberOf(value)! })),
  )
}

/** The constants of a module that are numbers, products of numbers or strings of digits. */
function constants(): { file: string; name: string; value: number }[] {
  const constant = /^(?:export )?const ([A-Z][A-Z_]+)(?:: number)? = '?(\d[\d_]*(?: \* \d[\d_]*)*)'?$/gm
  return files.flatMap(({ name: file, code }) =>
    [...code.matchAll(constant)].map(([, name = '', product = '']) => {
      const factors = product.split(' * ').map((factor) => Number(factor.replaceAll('_', '')))
      const unit = name.endsWith('_SECONDS') ? 1000 : 1
      return { file, name, value: factors.reduce((all, factor) => all * factor, unit) }
    }),
  )
}

describe('docs/defaults.md', () => {
  for (const [kind, inCode, least] of [
    ['option', optionDefaults(), 12],
    ['constant', constants(), 12],
  ] as const) {
    it(`has each ${kind} that is a number, with its default in the code`, () => {
      expect(inCode).to.have.length.of.at.least(least)
      for (const { file, name, value } of inCode) {
        const found = rows.filter((row) => row.name === name).map((row) => numberOf(row.value))
        expect(found, `${name} of ${file}`).to.include(value)
      }
    })
  }

  it('has no number that is not in the code, and a reason for each', () => {
    const inCode = [...optionDefaults(), ...constants()]
    for (const { of, name, value, reason } of rows) {
      expect(reason, `${of} ${name}`).to.not.equal('')
      const number = numberOf(value)
      if (number === undefined) continue
      const known = inCode.filter((one) => one.name === name).map((one) => one.value)
      expect(known, `${of} ${name}`).to.include(number)
    }
  })

  it('is linked from the list of pages', () => {
    expect(readText('docs/README.md')).to.include('(defaults.md)')
  })

  it('has the bounds that apply to an upload without maxBytes', () => {
    const bounds = /DEFAULT_LINGER: LingerBounds = \{ lingerMs: (\d+), lingerBytes: (\d+) \* 1024 \* 1024 \}/
    const [, milliseconds, megabytes] = files.map(({ code }) => bounds.exec(code)).find(Boolean) ?? []
    const expected = [numberOf('2 s'), numberOf('16 MB')]
    expect([Number(milliseconds), Number(megabytes) * 1024 ** 2]).to.deep.equal(expected)
    expect(rows.find(({ name }) => name === 'lingerMs')?.value).to.equal('2 s')
    expect(rows.find(({ name }) => name === 'lingerBytes')?.value).to.equal('16 MB')
  })
})
