// Writes docs/api.md: the declaration of everything the package exports, with its comment, as the built package has it.
// A test fails where it is not what this makes, so that a change of the API is seen in its diff.
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript5' // TypeScript 7 has no JavaScript API

const root = fileURLToPath(new URL('..', import.meta.url))

const HEAD = `# API reference

Made from the declarations by \`npm run api\`. The pages of the middlewares say more: [documentation](README.md).
`

/** The text of docs/api.md. */
export function apiReference() {
  const entry = `${root}/dist/esm/index.d.ts`
  const program = programOf(entry)
  const checker = program.getTypeChecker()
  const exported = checker
    .getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(entry)))
    .map((symbol) => resolved(checker, symbol))
  const named = new Set(exported)
  // A set may grow while it is walked: what those name that are not exported themselves comes too.
  for (const symbol of named) for (const other of namesOwn(checker, symbol)) named.add(other)
  const inner = [...named].filter((symbol) => !exported.includes(symbol))
  return `${HEAD}${sections(exported)}\n# Types that these name\n\nThey have no export of their own.\n${sections(inner)}`
}

/** Only this package's own declarations: those of Node and undici would take seconds, and nobody asks for them. */
function programOf(entry) {
  const options = { noLib: true, types: [] }
  const host = ts.createCompilerHost(options)
  host.resolveModuleNameLiterals = (literals, from) =>
    literals.map(({ text }) => {
      if (!text.startsWith('.')) return { resolvedModule: undefined }
      const file = path.join(path.dirname(from), text.replace(/\.js$/, '.d.ts'))
      return { resolvedModule: { resolvedFileName: file, extension: '.d.ts' } }
    })
  return ts.createProgram([entry], options, host)
}

function resolved(checker, symbol) {
  return symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol
}

/** The types of this package that a declaration names. */
function namesOwn(checker, { declarations }) {
  const found = []
  const visit = (node) => {
    const name = node.typeName ?? (ts.isExpressionWithTypeArguments(node) ? node.expression : undefined)
    const symbol = name && checker.getSymbolAtLocation(name)
    if (symbol !== undefined && !isPrivate(node)) found.push(resolved(checker, symbol))
    if (!isPrivate(node)) ts.forEachChild(node, visit)
  }
  declarations.forEach(visit)
  return found.filter((symbol) => !(symbol.flags & ts.SymbolFlags.TypeParameter) && isOurs(symbol))
}

function isOurs({ declarations = [] }) {
  const files = declarations.map((declaration) => declaration.getSourceFile().fileName)
  return files.length > 0 && files.every((file) => file.includes('/dist/esm/'))
}

function isPrivate(node) {
  return (ts.getCombinedModifierFlags(node) & ts.ModifierFlags.Private) !== 0
}

function sections(symbols) {
  return symbols
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map((symbol) => `\n## ${symbol.name}\n\n\`\`\`ts declaration\n${declarationsOf(symbol)}\n\`\`\`\n`)
    .join('')
}

/** With their comments, and without what is private. */
function declarationsOf(symbol) {
  return symbol.declarations
    .map((declaration) => declaration.getFullText().trim())
    .join('\n')
    .replace(/^export (?:declare )?/gm, '')
    .replace(/(?:^ *\/\*\*(?:(?!\*\/)[^])*\*\/\n)?^ *private .*\n/gm, '')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const page = `${root}/docs/api.md`
  const text = apiReference()
  if (process.argv[2] !== '--check') writeFileSync(page, text)
  else if (readFileSync(page, 'utf8') !== text) {
    console.error('docs/api.md is not what the declarations say: run npm run api')
    process.exitCode = 1
  }
}
