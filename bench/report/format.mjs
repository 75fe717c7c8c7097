// Numbers and tables as the page shows them.

/** Three digits that count: 0.123, 1.23, 12.3, 123, 12,345. */
export function digits(value) {
  if (value === undefined || Number.isNaN(value)) return '–'
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en')
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2)
}

const line = (cells) => `| ${cells.join(' | ')} |`

export function table(headings, rows) {
  const rule = headings.map((_, column) => (column === 0 ? '---' : '---:'))
  return [headings, rule, ...rows].map(line).join('\n')
}
