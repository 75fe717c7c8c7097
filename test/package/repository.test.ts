import { existsSync, readFileSync } from 'node:fs'
import { expect } from 'chai'
import { manifest, namesIn, readText, root, subpaths } from '../support/repository/repository.js'

const recipes = namesIn('docs/recipes')
  .filter((name) => name.endsWith('.md') && name !== 'README.md')
  .map((name) => name.replace('.md', ''))

const modules = namesIn('lib')
  .filter((name) => name.endsWith('.ts') && name !== 'index.ts')
  .map((name) => name.replace('.ts', ''))

describe('the repository', () => {
  for (const name of modules) {
    it(`has a subpath, a docs page and a test for ${name}`, () => {
      expect(subpaths).to.include(name)
      expect(manifest.typesVersions['*']).to.have.property(name)
      expect(existsSync(`${root}/docs/${name}.md`), `docs/${name}.md`).to.equal(true)
      expect(readText('docs/README.md')).to.include(`(${name}.md)`)
      expect(existsSync(`${root}/test/${name}.test.ts`) || existsSync(`${root}/test/${name}`)).to.equal(true)
    })
  }

  it('has a module for each subpath', () => {
    expect(subpaths.toSorted()).to.deep.equal(modules.toSorted())
  })

  for (const name of recipes) {
    it(`has a program, a test and a link for the recipe ${name}`, () => {
      expect(existsSync(`${root}/.recipes/${name}.ts`), 'program').to.equal(true)
      expect(existsSync(`${root}/test/recipes/${name}.test.ts`), 'test').to.equal(true)
      expect(readText('docs/recipes/README.md')).to.include(`(${name}.md)`)
    })
  }

  it('has an entry in docs/errors.md for each error code, and no other entry', () => {
    const [, union = ''] = /type ErrorCode =([^/]*?)\n\n/.exec(readText('lib/shared/errors.ts')) ?? []
    const codes = [...union.matchAll(/'(\w+)'/g)].map(([, code = '']) => code)
    const entries = [...readText('docs/errors.md').matchAll(/^### (\w+)$/gm)].map(([, code = '']) => code)
    expect(codes).to.have.length.above(5)
    expect(entries.toSorted()).to.deep.equal(codes.toSorted())
  })

  it('names in docs/behaviour.md, SECURITY.md and CONTRIBUTING.md only files that exist', () => {
    for (const page of ['docs/behaviour.md', 'SECURITY.md', 'CONTRIBUTING.md']) {
      const named = [...readText(page).matchAll(/\b(?:lib|test|docs|scripts|bench)\/[\w/.-]+\w/g)].map(
        ([path]) => path,
      )
      expect(named, page).to.have.length.above(2)
      expect(named.filter((path) => !existsSync(`${root}/${path}`))).to.deep.equal([])
    }
  })

  it('names existing tests for each rule of docs/behaviour.md', () => {
    const rules = readText('docs/behaviour.md')
      .split('\n')
      .filter((line) => line.startsWith('| ') && !line.startsWith('| rule |'))
    expect(rules).to.have.length.above(80)
    for (const rule of rules) {
      const [, , , shownBy = ''] = rule.split('|')
      const tests = [...shownBy.matchAll(/`([\w/-]+)`/g)].map(([, name = '']) => `test/${name}.test.ts`)
      expect(tests, rule).to.not.deep.equal([])
      expect(
        tests.filter((file) => !existsSync(`${root}/${file}`)),
        rule,
      ).to.deep.equal([])
    }
  })

  it('has a heading in docs/behaviour.md for each part of lib that has rules', () => {
    const headings = [...readText('docs/behaviour.md').matchAll(/^## .*|^Readers.*/gm)].join('\n')
    const parts = ['body-cache', 'auto-flush', 'passthrough-proxy', 'attach'].map((name) => `lib/${name}`)
    const body = [
      'source',
      'kept/store',
      'kept/file',
      'refused/answer',
      'refused/linger',
      'replay/rounds',
      'replay/overlapping-readers',
    ]
    for (const part of [...parts, ...body.map((name) => `lib/body/${name}.ts`)]) {
      expect(headings).to.include(part)
    }
  })

  it('names in the proxy section of docs/behaviour.md only advisories that have a test in test/regressions', () => {
    const tests = namesIn('test/regressions')
      .map((name) => readText(`test/regressions/${name}`))
      .join('\n')
    const proxy = readText('docs/behaviour.md').split('## The proxy')[1] ?? ''
    const advisories = proxy.match(/CVE-\d+-\d+|GHSA(?:-\w{4}){3}/g) ?? []
    expect(advisories).to.have.length.above(5)
    expect(advisories.filter((name) => !tests.includes(name))).to.deep.equal([])
  })

  it('has a type test for each export', () => {
    const [exported = ''] = readText('docs/api.md').split('\n# ')
    const names = [...exported.matchAll(/^## (\w+)$/gm)].map(([, name = '']) => name)
    expect(names).to.have.length.above(20)
    const tests = namesIn('test/types')
      .map((name) => readText(`test/types/${name}`))
      .join('\n')
    const beside = tests.replaceAll(/^import [^']*'[^']*'$/gm, '')
    expect(names.filter((name) => !new RegExp(`\\b${name}\\b`).test(beside))).to.deep.equal([])
  })

  it('has a changelog entry for the version', () => {
    expect(readText('CHANGELOG.md')).to.include(`\n## [${manifest.version}]`)
  })

  it('gives a reason for each runtime dependency, and for no other', () => {
    const [, section = ''] = readText('CONTRIBUTING.md').split('## Runtime dependencies')
    const reasons = [...section.matchAll(/^\| `([\w-]+)`/gm)].map(([, name = '']) => name)
    expect(reasons.toSorted()).to.deep.equal(Object.keys(manifest.dependencies).toSorted())
  })

  it('links only to files and headings that exist', () => {
    const pages = ['', 'docs/', 'docs/recipes/'].flatMap((folder) =>
      namesIn(folder === '' ? '.' : folder)
        .filter((name) => name.endsWith('.md'))
        .map((name) => folder + name),
    )
    expect(pages).to.include.members(['README.md', 'SECURITY.md', 'docs/README.md', 'docs/recipes/README.md'])
    const broken = pages.flatMap((page) =>
      [...readText(page).matchAll(/\]\(([^)\s]+)/g)]
        .map(([, link = '']) => link)
        .filter((link) => !/^\w+:/.test(link) && !leadsSomewhere(page, link))
        .map((link) => `${page}: ${link}`),
    )
    expect(broken).to.deep.equal([])
  })
})

function leadsSomewhere(page: string, link: string): boolean {
  const { pathname, hash } = new URL(link, `file://${root}/${page}`)
  if (!existsSync(pathname)) return false
  return hash === '' || anchorsOf(readFileSync(pathname, 'utf8')).includes(hash)
}

/** The anchors of a page's headings, as GitHub generates them. */
function anchorsOf(markdown: string): string[] {
  return [...markdown.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => {
    const words = heading.toLowerCase().replaceAll(/[^\p{Letter}\p{Number}\s_-]/gu, '')
    return `#${words.replaceAll(' ', '-')}`
  })
}
