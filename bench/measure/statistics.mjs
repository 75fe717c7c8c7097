// Figures from samples.

export function median(values) {
  return quantile(values, 0.5)
}

/** The value that `share` of all are below, between two samples where none is just there. */
export function quantile(values, share) {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (sorted.length - 1) * share
  const [low, high] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]]
  return low + (high - low) * (at % 1)
}

export function sum(values) {
  return values.reduce((total, value) => total + value, 0)
}

/** 0, 1, 2 …, beginning elsewhere in each round: whoever comes first is somebody else each time. */
export function inTurn(items, round) {
  return items.map((_, step) => items[(step + round) % items.length])
}
