export const URLENCODED = { 'content-type': 'application/x-www-form-urlencoded' }

/** A form of so many parameters, whose names have an escape. */
export function parameters(count: number): string {
  return Array.from({ length: count }, (_, n) => `k%41${n}=${n}`).join('&')
}
