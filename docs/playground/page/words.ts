/** Numbers as a person would say them. */

const kilobyte = 1024
const megabyte = 1024 * kilobyte

/** A size with one or two decimals, or in bytes where it would look like a whole number: 1 MB and 1 byte is not 1 MB. */
export function bytesText(bytes: number): string {
  if (bytes < kilobyte) return `${bytes} B`
  const [size, unit] = bytes < megabyte ? [kilobyte, 'KB'] : [megabyte, 'MB']
  const value = bytes / size
  const told = [1, 2].map((digits) => Number(value.toFixed(digits))).find((each) => isHonest(each, value))
  return told === undefined ? `${bytes.toLocaleString('en')} B` : `${told} ${unit}`
}

function isHonest(rounded: number, value: number): boolean {
  return rounded === value || !Number.isInteger(rounded)
}

/** A duration. The clocks agree to about a millisecond, so less than that is not told. */
export function msText(ms: number): string {
  if (ms < 1) return 'under 1 ms'
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`
}

/** When something happened, or when it left and arrived, to so many decimals: '44 ms', '0 → 44 ms'. */
export function timesText(digits: number, from: number, to?: number): string {
  const text = (ms: number): string => Number(ms.toFixed(digits)).toLocaleString('en')
  return to === undefined ? `${text(from)} ms` : `${text(from)} → ${text(to)} ms`
}

/** A round time, such as one of an axis: without the zeros behind the point. */
export function roundText(ms: number): string {
  if (ms === 0) return '0'
  return ms < 1000 ? `${Number(ms.toPrecision(3))} ms` : `${Number((ms / 1000).toPrecision(3))} s`
}

/** `many(1, 'line')` is '1 line', `many(2, 'line')` is '2 lines'. */
export function many(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

/** The middle one of some numbers. */
export function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0
}
