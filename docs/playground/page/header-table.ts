/** The same message before and after the proxy: which of its headers passed, changed, came or went. */
import { html, need } from './elements.js'

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

/** Belongs to one connection: each side has its own. */
const perHop = new Set(['connection', 'keep-alive', 'transfer-encoding'])

/** Fills two tables whose columns are the two sides: with what differs, and with what passed as it was. */
export function showHeaders(holder: HTMLElement, before: Headers, after: Headers): void {
  const names = [...new Set([...before.keys(), ...after.keys()])]
  const rows = names.map((name) => headerRow(name, before.get(name), after.get(name)))
  const same = rows.filter(({ dataset }) => dataset['fate'] === 'same')
  need(holder, '[data-rows=different]').replaceChildren(...rows.filter((row) => !same.includes(row)))
  need(holder, '[data-rows=same]').replaceChildren(...same)
  need(holder, 'summary').textContent = `${same.length} more passed as they were`
}

function headerRow(name: string, before: string | undefined, after: string | undefined): HTMLElement {
  const fate = perHop.has(name) ? 'each its own' : fateOf(before, after)
  return html(
    'tr',
    { 'data-fate': fate },
    html('th', { scope: 'row' }, name, html('span', { class: 'fate' }, fate)),
    html('td', {}, before ?? '–'),
    html('td', {}, after ?? '–'),
  )
}

function fateOf(before: string | undefined, after: string | undefined): string {
  if (before === after) return 'same'
  if (before === undefined) return 'added'
  return after === undefined ? 'removed' : 'changed'
}
