// The generated parts of pages that people write: between <!-- bench:name --> and <!-- /bench:name -->.
import { deliveryParts } from './parts/delivery.mjs'
import { flushParts } from './parts/flush.mjs'
import { proxyParts } from './parts/proxy.mjs'

/** The parts of each page, by its path: `{ name: text }`. */
export function partsOf(results) {
  const all = [
    ...(results.proxy ? proxyParts(results) : []),
    ...(results['auto-flush'] ? flushParts(results['auto-flush']) : []),
    ...(results.delivery ? deliveryParts(results.delivery) : []),
  ]
  const pages = new Map()
  for (const { file, name, text } of all) pages.set(file, { ...pages.get(file), [name]: text })
  return pages
}

/** A page with its parts made anew. A part without its marks is an error: its figures would be written by hand. */
export function replaceParts(page, parts, file) {
  return Object.entries(parts).reduce((text, [name, part]) => {
    const [begin, end] = [`<!-- bench:${name} -->`, `<!-- /bench:${name} -->`]
    const [from, to] = [text.indexOf(begin), text.indexOf(end)]
    if (from === -1 || to < from) throw new Error(`${file} has no ${begin} … ${end}`)
    return `${text.slice(0, from)}${begin}\n\n${part}\n\n${text.slice(to)}`
  }, page)
}

/** A page without its generated parts. */
export function withoutParts(page) {
  return page.replaceAll(/<!-- bench:([\w-]+) -->[^]*?<!-- \/bench:\1 -->/g, '')
}
