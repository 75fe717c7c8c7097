/** Where things of a timeline lie: pure numbers, no elements. */

/** What a picture of that width has room for. */
export interface Frame {
  readonly width: number
  /** Where time zero is, right of the names. */
  readonly left: number
  readonly right: number
  readonly laneY: (index: number) => number
  /** The line that the times stand under. */
  readonly axisY: number
  readonly height: number
}

const top = 40
const narrow = 560

export function frameFor(width: number, lanes: number): Frame {
  const laneGap = width < narrow ? 48 : 62
  const axisY = top + (lanes - 1) * laneGap + 34
  return {
    width,
    left: width < narrow ? 92 : 112,
    right: width - 16,
    laneY: (index) => top + index * laneGap,
    axisY,
    height: axisY + 24,
  }
}

/** Round times along an axis of `spanMs`, at most `most` of them after zero. */
export function ticks(spanMs: number, most: number): readonly number[] {
  const roughly = spanMs / most
  const power = 10 ** Math.floor(Math.log10(roughly))
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= roughly) ?? 10 * power
  return Array.from({ length: Math.floor(spanMs / step) + 1 }, (_, index) => index * step)
}

/** Moves places apart until they are `gap` from one another, within `left` and `right`. Expects them sorted. */
export function spread(
  places: readonly number[],
  gap: number,
  [left, right]: readonly [number, number],
): number[] {
  const moved: number[] = []
  for (const place of places) moved.push(Math.max(place, left, (moved.at(-1) ?? -Infinity) + gap))
  let limit = right
  for (let index = moved.length - 1; index >= 0; index--) {
    moved[index] = Math.min(moved[index] as number, limit)
    limit = (moved[index] as number) - gap
  }
  return moved
}
