// One goal: `{ group, text, limit, value, met, sign, beside }`; `beside` names what it was held against.

/** The groups of goals, in the order of the page, by the headings of bench/tried.md. */
export const groups = {
  small: 'GET and POST',
  large: 'Large bodies',
  peak: 'Peak memory',
  latency: 'Latency',
  middlewares: 'Small middlewares',
  loading: 'Loading',
  connections: 'Idle connections',
}

export function inGroup(group, goals) {
  return goals.map((goal) => ({ group, ...goal }))
}

export function atMost(text, limit, value, beside) {
  return { text, limit, value, met: value <= limit, sign: '≤', beside }
}

export function atLeast(text, limit, value, beside) {
  return { text, limit, value, met: value >= limit, sign: '≥', beside }
}
