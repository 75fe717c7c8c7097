import path from 'node:path'
import { expect } from 'chai'
import { filesBelow, readText } from '../support/repository/repository.js'

const files = filesBelow('lib').filter((file) => file.endsWith('.ts'))
const graph = new Map(files.map((file) => [file, importsOf(file)]))

/** The files of lib that a file imports or re-exports, type-only imports included. */
function importsOf(file: string): string[] {
  const sources = [...readText(file).matchAll(/^(?:import|export)\b[^'"]*?'(\.[^']+)\.js'/gms)]
  return sources.map(([, source = '']) => `${path.posix.join(path.dirname(file), source)}.ts`)
}

/**
 * The layer of a file: it imports only files of lower layers, or files beside it in the same part.
 * `lib/index.ts` is on top, then the middlewares, their folders, the body, and what is below all of them.
 */
function layerOf(file: string): number {
  if (file === 'lib/index.ts') return 5
  if (file.startsWith('lib/shared/')) return 0
  if (file.startsWith('lib/node/')) return 1
  if (file.startsWith('lib/body/')) return 2
  return path.dirname(file) === 'lib' ? 4 : 3
}

/** The part of lib that a file belongs to: a middleware with its folder is one. */
function partOf(file: string): string {
  return file.split('/')[1]!.replace('.ts', '')
}

/** `sluiceway/auto-flush` also exports `pipeChild`, which people look for there. */
const REEXPORTED = 'lib/auto-flush.ts -> lib/pipe-child.ts'

/** Between two parts an import leads to a lower layer, and never to another middleware; within one it may stay on its own. */
function isDownward(from: string, to: string): boolean {
  if (`${from} -> ${to}` === REEXPORTED) return true
  if (partOf(from) === partOf(to)) return layerOf(from) >= layerOf(to)
  const isBelowAll = layerOf(to) < 3 || from === 'lib/index.ts'
  return isBelowAll && layerOf(from) > layerOf(to)
}

/** The groups of files that can all be reached from each other. */
function circles(): string[][] {
  const reached = new Map(files.map((file) => [file, reachableFrom(file)]))
  const found = files.map((file) => files.filter((other) => isMutual(reached, file, other)))
  return found.filter((group, i) => group.length > 0 && group[0] === files[i])
}

function isMutual(reached: Map<string, Set<string>>, one: string, other: string): boolean {
  return reached.get(one)!.has(other) && reached.get(other)!.has(one)
}

function reachableFrom(file: string): Set<string> {
  const reached = new Set<string>()
  const queue = [...graph.get(file)!]
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    if (reached.has(next)) continue
    reached.add(next)
    queue.push(...(graph.get(next) ?? []))
  }
  return reached
}

describe('the imports of lib, those of types included', () => {
  it('are all found, and lead to files that exist', () => {
    expect(files).to.have.length.above(80)
    expect([...graph.values()].flat().filter((file) => !graph.has(file))).to.deep.equal([])
    expect(graph.get('lib/max-bytes.ts')).to.include.members([
      'lib/body/source-of.ts',
      'lib/shared/options.ts',
    ])
    // Those without an import are the exception.
    expect([...graph.values()].filter((imported) => imported.length === 0)).to.have.length.below(
      files.length / 3,
    )
  })

  it('lead downward: index, middleware, its folder, body, node, shared', () => {
    const upward = files.flatMap((from) =>
      graph
        .get(from)!
        .filter((to) => !isDownward(from, to))
        .map((to) => `${from} -> ${to}`),
    )
    expect(upward).to.deep.equal([])
  })

  it('lead from the body source to its parts, and never back', () => {
    const above: Readonly<Record<string, RegExp>> = {
      'lib/body/kept/': /body\/(?:replay\/|refused\/|source|tap)/,
      'lib/body/refused/': /body\/(?:replay\/|kept\/|source|tap)/,
      'lib/body/replay/': /body\/(?:refused\/|source|tap)/,
      'lib/body/views.ts': /body\/(?:replay\/|refused\/|source|tap)/,
    }
    for (const [part, forbidden] of Object.entries(above)) {
      const inPart = files.filter((file) => file.startsWith(part))
      const found = inPart.flatMap((file) => graph.get(file)!).filter((to) => forbidden.test(to))
      expect(inPart, part).to.have.length.above(0)
      expect(found, part).to.deep.equal([])
    }
  })

  it('name each value that a module passes on, as the loader of tracers drops one that two `export *` lead to', () => {
    const starred = files.filter((file) => /^export \* from/m.test(readText(file)))
    expect(starred).to.deep.equal([])
    expect(readText('lib/index.ts')).to.include("export { pipeChild } from './pipe-child.js'")
  })

  it('never lead in a circle', () => {
    expect(circles().map((group) => group.join(' <-> '))).to.deep.equal([])
  })
})
