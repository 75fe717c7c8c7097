// Copies the examples of the documentation to .recipes/, so that the compiler checks them and tests can import them:
// the "ts recipe" block of docs/recipes/<page>.md becomes <page>.ts; each "ts" block of README.md and of a page in docs
// that is a whole module (its first line is an import) becomes example-<page>-<line>.ts.
// They keep the very lines they have in their page, so that a compiler error names the line to mend.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'

const root = new URL('../', import.meta.url)
const recipes = new URL('docs/recipes/', root)
const target = new URL('.recipes/', root)

rmSync(target, { recursive: true, force: true })
mkdirSync(target)

for (const page of readdirSync(recipes).filter((name) => name.endsWith('.md'))) {
  const [program, ...more] = blocksOf(readFileSync(new URL(page, recipes), 'utf8'), '```ts recipe')
  if (more.length > 0) throw new Error(`docs/recipes/${page} has more than one recipe block`)
  if (program !== undefined) writeFileSync(new URL(page.replace(/\.md$/, '.ts'), target), program)
}
const pages = readdirSync(new URL('docs/', root)).filter((name) => name.endsWith('.md'))
for (const page of ['README.md', ...pages.map((name) => `docs/${name}`)]) {
  const examples = blocksOf(readFileSync(new URL(page, root), 'utf8'), '```ts')
  for (const example of examples.filter((text) => text.trimStart().startsWith('import '))) {
    const line = example.length - example.trimStart().length
    const name = page.replace('/', '-').replace('.md', '').toLowerCase()
    writeFileSync(new URL(`example-${name}-${line}.ts`, target), example)
  }
}

/** The blocks that begin with the line `fence`, each led by as many empty lines as stand before it in the page. */
function blocksOf(markdown, fence) {
  const blocks = []
  let inside = false
  for (const [index, line] of markdown.split('\n').entries()) {
    if (inside && line === '```') inside = false
    else if (inside) blocks.push(`${blocks.pop()}${line}\n`)
    else if (line === fence) {
      inside = true
      blocks.push('\n'.repeat(index + 1))
    }
  }
  return blocks
}
