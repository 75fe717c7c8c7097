import { described } from '../../shared/described.js'
import { wrongOption } from '../../shared/error-page.js'
import { refuseNewMembers } from '../refuse-new-members.js'
import { headerText } from './header-text.js'

/**
 * Header lines in the order of the wire. Names keep their case, and repeated names keep separate lines; names are
 * compared without regard to case.
 */
export class HeaderList implements Iterable<readonly [name: string, value: string]> {
  /** Name, value, name, value, …: the form of `req.rawHeaders`. */
  readonly lines: string[]

  constructor(lines: string[]) {
    this.lines = lines
  }

  /** Returns the value of the first line called `name`; undefined if there is none. */
  get(name: string): string | undefined {
    const wanted = name.toLowerCase()
    for (let i = 0; i < this.lines.length; i += 2) {
      if ((this.lines[i] as string).toLowerCase() === wanted) return this.lines[i + 1]
    }
    return undefined
  }

  /** Returns the values of all lines called `name`. */
  getAll(name: string): string[] {
    const wanted = name.toLowerCase()
    return [...this].filter(([key]) => key.toLowerCase() === wanted).map(([, value]) => value)
  }

  has(name: string): boolean {
    return this.get(name) !== undefined
  }

  /** Replaces all lines called `name` by one at the end. Throws a TypeError for undefined, null, objects and lists. */
  set(name: string, value: string): void {
    const text = textOf(name, value)
    this.delete(name)
    this.lines.push(name, text)
  }

  /** Adds one line at the end. Throws like `set`. */
  append(name: string, value: string): void {
    this.lines.push(name, textOf(name, value))
  }

  /** Removes all lines called `name`. */
  delete(name: string): void {
    const unwanted = name.toLowerCase()
    removeLines(this.lines, (key) => key === unwanted)
  }

  *[Symbol.iterator](): Iterator<readonly [name: string, value: string]> {
    for (let i = 0; i < this.lines.length; i += 2) {
      yield [this.lines[i] as string, this.lines[i + 1] as string]
    }
  }
}

// As in `proxyReq.headers['x-user'] = 'ada'` of other packages.
refuseNewMembers(HeaderList, (name) => {
  const quoted = JSON.stringify(name)
  return `headers: a list of lines has no property ${quoted}; call set(${quoted}, value)`
})

/** Returns the text of a value. A hook in JavaScript may give any value. */
function textOf(name: string, value: unknown): string {
  const text = headerText(value)
  if (text !== undefined) return text
  const remedy = Array.isArray(value) ? '; append() adds a line for each value' : ''
  throw wrongOption(
    `headers: the value of ${JSON.stringify(name)} must be a string, got ${described(value)}${remedy}`,
  )
}

/** Removes in place every line whose lower-cased name is unwanted. */
export function removeLines(lines: string[], isUnwanted: (name: string) => boolean): void {
  let kept = 0
  for (let i = 0; i < lines.length; i += 2) {
    if (isUnwanted((lines[i] as string).toLowerCase())) continue
    lines[kept] = lines[i] as string
    lines[kept + 1] = lines[i + 1] as string
    kept += 2
  }
  lines.length = kept
}
