/** The same message before and after the proxy: which of its headers passed, changed, came or went. */
import { html } from './elements.js'

type Headers = ReadonlyMap<string, string>

/** Takes the shape of `req.rawHeaders`: name, value, name, value. */
export function fromRaw(lines: readonly string[]): Headers {
  const headers = new Map<string, string>()
  for (let index = 0; index < lines.length; index += 2) {
    const name = String(lines[index]).toLowerCase()
    const value = String(lines[index + 1])
    headers.set(name, headers.has(name) ? `${headers.get(name)}, ${value}` : value)
  }
  return headers
}

/** Fills a table whose columns are the two sides. */
export function showHeaders(table: HTMLTableElement, before: Headers, after: Headers): void {
  const names = [...new Set([...before.keys(), ...after.keys()])]
  const rows = names.map((name) => headerRow(name, before.get(name), after.get(name)))
  const order = ['changed', 'added', 'removed', 'same']
  rows.sort((a, b) => order.indexOf(a.className) - order.indexOf(b.className))
  table.tBodies[0]?.replaceChildren(...rows)
}

function headerRow(name: string, before: string | undefined, after: string | undefined): HTMLElement {
  const fate = fateOf(before, after)
  return html(
    'tr',
    { class: fate },
    html('th', { scope: 'row' }, name, html('span', { class: 'fate' }, fate)),
    html('td', { 'data-side': 'before' }, before ?? '–'),
    html('td', { 'data-side': 'after' }, after ?? '–'),
  )
}

function fateOf(before: string | undefined, after: string | undefined): string {
  if (before === after) return 'same'
  if (before === undefined) return 'added'
  return after === undefined ? 'removed' : 'changed'
}
