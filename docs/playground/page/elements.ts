/** Making elements: everything that the page shows is text or made here, never parsed from strings. */

type Attributes = Readonly<Record<string, string | number | boolean | undefined>>
type Child = Node | string

/** `html('p', { class: 'note' }, 'text')`. An attribute that is undefined or false is left out. */
export function html<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[Name] {
  const element = document.createElement(name)
  setAttributes(element, attributes)
  element.append(...children)
  return element
}

/** The same for a shape: `svg('circle', { r: 4 })`. */
export function svg(name: string, attributes: Attributes = {}, ...children: Child[]): SVGElement {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name)
  setAttributes(element, attributes)
  element.append(...children)
  return element
}

function setAttributes(element: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue
    element.setAttribute(name, value === true ? '' : String(value))
  }
}

/** The one element that `selector` names: a page without it is a mistake of ours. */
export function need(within: ParentNode, selector: string): HTMLElement
export function need<Kind extends HTMLElement>(
  within: ParentNode,
  selector: string,
  kind: new () => Kind,
): Kind
export function need(
  within: ParentNode,
  selector: string,
  kind: new () => HTMLElement = HTMLElement,
): HTMLElement {
  const found = within.querySelector(selector)
  if (found instanceof kind) return found
  throw new Error(`the page has no ${kind.name} ${selector}`)
}
