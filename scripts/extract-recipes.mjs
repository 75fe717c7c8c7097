// Copies each ```ts recipe block of docs/recipes/*.md to .recipes/<page>.ts, on the very lines it has in the page,
// so that a compiler error names the line to mend. Tests import the compiled recipes.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'

const source = new URL('../docs/recipes/', import.meta.url)
const target = new URL('../.recipes/', import.meta.url)

rmSync(target, { recursive: true, force: true })
mkdirSync(target)
for (const page of readdirSync(source).filter((name) => name.endsWith('.md'))) {
  const program = programOf(readFileSync(new URL(page, source), 'utf8'))
  if (program.trim() !== '') {
    writeFileSync(new URL(page.replace(/\.md$/, '.ts'), target), program)
  }
}

function programOf(markdown) {
  let inside = false
  const lines = markdown.split('\n').map((line) => {
    if (inside && line === '```') inside = false
    if (inside) return line
    if (line === '```ts recipe') inside = true
    return ''
  })
  return lines.join('\n').trimEnd() + '\n'
}
