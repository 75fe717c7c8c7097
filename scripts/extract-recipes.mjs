// Copies the code of the documentation to .recipes/, so that the compiler checks it and tests can run it:
//
// - the "ts recipe" block of docs/recipes/<page>.md becomes <page>.ts,
// - every "ts" block of any page becomes example-<page>-<line>.ts, which exports its `app`,
// - every "ts browser" block becomes browser/<page>-<line>.ts, compiled with the types of a browser,
// - every "sh" block becomes shell/<page>-<line>.sh, and every "nginx" block nginx/<page>-<line>.conf.
//
// They keep the very lines they have in their page, so that a compiler error names the line to mend. A block that is
// no whole module, or of any other language, is an error: nobody would check it.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'

const root = new URL('../', import.meta.url)
const target = new URL('.recipes/', root)

rmSync(target, { recursive: true, force: true })
for (const folder of ['browser/', 'shell/', 'nginx/']) mkdirSync(new URL(folder, target), { recursive: true })

const folders = ['', 'docs/', 'docs/recipes/']
const pages = folders.flatMap((folder) => pagesIn(folder).map((name) => folder + name))
for (const page of pages) {
  for (const block of blocksOf(readFileSync(new URL(page, root), 'utf8'))) copyBlock(page, block)
}

function pagesIn(folder) {
  return readdirSync(new URL(folder, root)).filter((name) => name.endsWith('.md'))
}

/** The fenced blocks of a page, with the line of their fence. */
function blocksOf(markdown) {
  const blocks = []
  let open
  for (const [index, line] of markdown.split('\n').entries()) {
    if (open === undefined && line.startsWith('```')) {
      open = { kind: line.slice(3), line: index + 1, code: '' }
    } else if (open !== undefined && line === '```') {
      blocks.push(open)
      open = undefined
    } else if (open !== undefined) open.code += `${line}\n`
  }
  return blocks
}

function copyBlock(page, { kind, line, code }) {
  if (kind === '' || kind === 'text') return // what something printed
  if (kind === 'ts declaration') return // what scripts/api-reference.mjs has made
  if (/^[jt]s start$/.test(kind)) return // test/package/first-minutes.test.ts puts them together
  const name = page.replace(/\.md$/, '').replaceAll('/', '-').toLowerCase()
  if (kind === 'ts recipe') write(`${page.split('/').at(-1).replace(/\.md$/, '')}.ts`, line, code)
  else if (kind === 'ts browser') write(`browser/${name}-${line}.ts`, line, `${code}export {}\n`)
  else if (kind === 'sh') write(`shell/${name}-${line}.sh`, line, code)
  else if (kind === 'nginx') write(`nginx/${name}-${line}.conf`, line, code)
  else if (kind !== 'ts')
    fail(page, line, `is "${kind}": make it ts, ts recipe, ts browser, sh, nginx or text`)
  else if (!code.startsWith('import ')) fail(page, line, 'is no whole module: it begins with no import')
  else
    write(`example-${name}-${line}.ts`, line, code + (/^const app\b/m.test(code) ? 'export { app }\n' : ''))
}

function write(name, line, code) {
  // A page's second recipe would take the place of its first.
  writeFileSync(new URL(name, target), '\n'.repeat(line) + code, { flag: 'wx' })
}

function fail(page, line, why) {
  throw new Error(`${page}:${line}: this block ${why}`)
}
