// One goal: `{ text, limit, value, met, sign, beside }`; `beside` names what it was held against.
export function atMost(text, limit, value, beside) {
  return { text, limit, value, met: value <= limit, sign: '≤', beside }
}

export function atLeast(text, limit, value, beside) {
  return { text, limit, value, met: value >= limit, sign: '≥', beside }
}
