// Numbers, lists and tables as the pages show them.

/** Three digits that count: 0.12, 1.23, 12.3, 123, 12,345. */
export function digits(value) {
  if (value === undefined || Number.isNaN(value)) return '–'
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en')
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2)
}

/** "0.71", or "0.71 to 0.80" where they differ. */
export function range(values, format = digits) {
  const [low, high] = [format(Math.min(...values)), format(Math.max(...values))]
  return low === high ? low : `${low} to ${high}`
}

/** "a, b and c". */
export function listed(items) {
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`
}

/** The figures of several versions of Node in one cell. */
export function joined(values) {
  return values.map(digits).join(' · ')
}

const line = (cells) => `| ${cells.join(' | ')} |`

export function table(headings, rows) {
  const rule = headings.map((_, column) => (column === 0 ? '---' : '---:'))
  return [headings, rule, ...rows].map(line).join('\n')
}

export function nodesText(majors) {
  return `Node ${listed(majors)}`
}
