// Copies the examples of the documentation to .recipes/, so that the compiler checks them and tests can import them:
// each "ts recipe" block of docs/recipes/<page>.md becomes <page>.ts, each "ts" block of README.md readme-<n>.ts.
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
for (const [index, example] of blocksOf(
  readFileSync(new URL('README.md', root), 'utf8'),
  '```ts',
).entries()) {
  writeFileSync(new URL(`readme-${index + 1}.ts`, target), example)
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
