import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { readText, root } from '../support/repository/repository.js'

/** The options interfaces, by the page that has them and the file where they are checked. */
const interfaces = {
  attach: [['lib/attach.ts', 'lib/attach.ts']],
  'max-bytes': [['lib/max-bytes.ts', 'lib/max-bytes.ts']],
  'body-cache': [['lib/body-cache.ts', 'lib/body-cache.ts']],
  'auto-flush': [['lib/auto-flush.ts', 'lib/auto-flush.ts']],
  'pipe-child': [['lib/pipe-child.ts', 'lib/pipe-child.ts']],
  'passthrough-proxy': [['lib/passthrough-proxy.ts', 'lib/passthrough-proxy.ts']],
} as const

/** The facts about one option: undefined if a place does not mention it. */
interface Option {
  readonly name: string
  readonly type: string
  readonly comment: string
  readonly defaultInComment: string | undefined
  readonly defaultInCode: string | undefined
}

/** The rows of all tables of a page with this head, each cell trimmed. */
function rowsUnder(page: string, head: string): string[][] {
  const [, ...tables] = readText(page).split(`${head}\n`)
  return tables.flatMap((table) => {
    const [, ...lines] = (/^(?:\|.*\n?)+/.exec(table)?.[0] ?? '').trimEnd().split('\n')
    return lines.map((line) => line.split(/(?<!\\)\|/).map((cell) => cell.trim()))
  })
}

/** Each option that a page describes, with its default and its meaning. */
function optionRows(page: string): Map<string, { value: string; meaning: string }> {
  const rows = rowsUnder(`docs/${page}.md`, '| option | default | meaning |')
  return new Map(
    rows.flatMap(([, names = '', value = '', meaning = '']) =>
      names.split(', ').map((name) => [name.replaceAll('`', ''), { value, meaning }] as const),
    ),
  )
}

function optionsOf(page: keyof typeof interfaces): Option[] {
  return interfaces[page].flatMap(([declared, checked]) => {
    const [, body = ''] = /export interface \w+Options \{\n([^]*?)\n\}/.exec(readText(declared)) ?? []
    const fields = body.matchAll(/\/\*\*((?:(?!\*\/)[^])*)\*\/\s+readonly (\w+)\??: (.+)/g)
    return [...fields].map(([, comment = '', name = '', type = '']) => ({
      name,
      type,
      comment,
      defaultInComment: /@default (.+?)\.?\s*(?:\*?\s*$)/.exec(comment)?.[1],
      defaultInCode: defaultInCode(readText(checked), name),
    }))
  })
}

/** The default in the check of an option, if it is a literal: its first argument that is not an array. */
function defaultInCode(code: string, name: string): string | undefined {
  const list = String.raw`(?:\[[^\]]*\], |signals, )?`
  const literal = String.raw`(['\d\[](?:[^,()]|\(\))*|true|false|os\.tmpdir\(\))`
  return new RegExp(`^ +${name}: \\w+(?:<\\w+>)?\\(${list}${literal}[,)]`, 'm').exec(code)?.[1]
}

/** A default in comparable form: without quotes, grouping of digits and remarks. */
function plain(value: string): string {
  return value
    .replace(/ \(.*\)$/, '')
    .replaceAll(/[`'"]/g, '')
    .replaceAll(/(?<=\d)[_ ](?=\d)/g, '')
}

/** Defaults that are not literals, because they depend on something. */
const DEPENDENT = ['exit', 'path']

/** Numbers without a unit. */
const COUNTS = ['maxConnections', 'maxQueue']

describe('the page', () => {
  for (const page of Object.keys(interfaces) as (keyof typeof interfaces)[]) {
    describe(page, () => {
      it('has a row for each option, and no other row', () => {
        const names = optionsOf(page).map(({ name }) => name)
        expect(names).to.have.length.above(page === 'attach' ? 0 : 2)
        expect([...optionRows(page).keys()].toSorted()).to.deep.equal(names.toSorted())
      })

      it('names the default that the comment and the code have', () => {
        for (const { name, defaultInComment, defaultInCode: inCode } of optionsOf(page)) {
          if (DEPENDENT.includes(name)) continue
          const onPage = plain(optionRows(page).get(name)?.value ?? '')
          if (defaultInComment !== undefined) expect(plain(defaultInComment), name).to.equal(onPage)
          if (inCode !== undefined) expect(plain(inCode), name).to.equal(onPage)
        }
      })

      it('gives the meaning of 0 for each number, as does its comment', () => {
        const numbers = optionsOf(page).filter(({ type }) => /number|ByteSize|Coalesce/.test(type))
        expect(numbers).to.have.length.above(page === 'attach' ? -1 : 0)
        for (const { name, type, comment } of numbers) {
          const { value = '', meaning = '' } = optionRows(page).get(name) ?? {}
          expect(value + meaning, name).to.match(/\b0\b|At least 1/)
          expect(comment, name).to.match(/\b0\b|At least 1/)
          const unit = name.endsWith('Ms') || type.includes('Coalesce') ? /milliseconds/ : /bytes|size/i
          if (!COUNTS.includes(name)) expect(meaning, name).to.match(unit)
        }
      })

      it('gives the meaning of undefined and null', () => {
        const text = readText(`docs/${page}.md`)
        expect(text)
          .to.match(/`undefined` counts as not given/)
          .and.match(/including `null`/)
      })
    })
  }
})

describe('docs/errors.md', () => {
  interface Known {
    readonly status: number
    readonly type?: string
  }
  let sluicewayError: (code: string) => Known

  before(async () => {
    ;({ sluicewayError } = (await import(`${root}/dist/esm/shared/errors.js`)) as {
      sluicewayError: typeof sluicewayError
    })
  })

  it('has the status and the type of each code', () => {
    const entries = readText('docs/errors.md')
      .split(/^##+ /m)
      .filter((entry) => entry.startsWith('ERR_'))
    expect(entries).to.have.length.above(10)
    for (const entry of entries) {
      const [code = ''] = entry.split('\n', 1)
      const [, status, type] = /^\*\*(\d+)\*\*(?:, type `([\w.]+)`)?/m.exec(entry) ?? []
      const known = sluicewayError(code)
      expect([Number(status), type], code).to.deep.equal([known.status, known.type])
    }
  })

  it('agrees with the tables of the other pages', () => {
    const rows = [
      ...rowsUnder('docs/passthrough-proxy.md', '| status | code | when |').map(([, ...cells]) => cells),
      ...rowsUnder('docs/body-cache.md', '| when | status | `code` |').map(([, , ...cells]) => cells),
    ]
    expect(rows).to.have.length.above(10)
    for (const [status, cell = ''] of rows) {
      const codes = cell.match(/ERR_SLUICEWAY_\w+/g) ?? []
      expect(codes, cell).to.not.deep.equal([])
      for (const code of codes) expect(String(sluicewayError(code).status), code).to.equal(status)
    }
  })
})

describe('docs/api.md', () => {
  it('is the output of npm run api', async function () {
    this.timeout(20_000)
    await promisify(execFile)(process.execPath, ['scripts/api-reference.mjs', '--check'], { cwd: root })
  })
})
