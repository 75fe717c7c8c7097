/** What came out of a run, as terms and values. */
import { html } from './elements.js'

/** Shows the entries; one whose value is undefined is left out. */
export function showFacts(list: HTMLElement, entries: Readonly<Record<string, string | undefined>>): void {
  const items = Object.entries(entries).flatMap(([term, value]) =>
    value === undefined ? [] : [html('div', {}, html('dt', {}, term), html('dd', {}, value))],
  )
  list.replaceChildren(...items)
}
