/** What all panels share: finding their parts, drawing, and saying what failed. */

/**
 * A panel's section, the element for messages about its failures, and its status line.
 * @param {string} id
 */
export function panel(id) {
  const root = document.getElementById(id)
  const problem = root.querySelector('.problem')
  const status = root.querySelector('[data-status]')
  return {
    find: (selector) => root.querySelector(selector),
    say: (text) => {
      status.textContent = text
    },
    /** Runs one action at a time: its buttons are off meanwhile, and a failure is told in words. */
    run: async (action) => {
      const buttons = root.querySelectorAll('button')
      problem.hidden = true
      for (const button of buttons) button.disabled = true
      try {
        await action()
      } catch (error) {
        problem.textContent = `That failed: ${explain(error)}`
        problem.hidden = false
        status.textContent = ''
      } finally {
        for (const button of buttons) button.disabled = false
      }
    },
  }
}

function explain(error) {
  if (error instanceof TypeError && /fetch|network|load/i.test(error.message)) {
    return 'the playground server gave no answer. Is it still running?'
  }
  return error.message
}

/** Reads an answer as JSON, and throws what it says when it is an error. */
export async function readJson(response) {
  const text = await response.text()
  if (response.ok) return JSON.parse(text)
  throw new Error(`${response.status} ${response.statusText}: ${messageOf(text)}`)
}

function messageOf(text) {
  try {
    const { error, issues = [] } = JSON.parse(text)
    const details = issues.map(({ path = [], message }) => `${path.join('.')} ${message}`.trim())
    return [error, ...details].join('; ')
  } catch {
    return text.slice(0, 200)
  }
}

/** One SVG element with its children: `svg('circle', { r: 4 })`. */
export function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name)
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value)
  element.append(...children)
  return element
}

/**
 * Draws into `holder` at its real width, so that text keeps its size on a phone, and again whenever that changes.
 * `draw(width)` gives { height, label, shapes }.
 */
export function picture(holder, draw) {
  const redraw = () => {
    const width = Math.max(260, holder.clientWidth || holder.parentElement.clientWidth)
    const { height, label, shapes } = draw(width)
    const attributes = { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': label }
    holder.replaceChildren(svg('svg', attributes, ...shapes))
  }
  let drawnAt = 0
  new ResizeObserver(() => {
    if (holder.clientWidth !== drawnAt) redraw()
    drawnAt = holder.clientWidth
  }).observe(holder)
  redraw()
  return redraw
}

export function bytesText(bytes) {
  if (bytes < 1024) return `${bytes} B`
  if (bytes < 1024 * 1024) return `${Math.round(bytes / 1024)} KB`
  return `${(bytes / 1024 / 1024).toFixed(1).replace('.0', '')} MB`
}

export function msText(ms) {
  if (ms < 1) return '<1 ms'
  return ms < 1000 ? `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`
}

/** The middle one of some numbers. */
export function median(numbers) {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0
}
