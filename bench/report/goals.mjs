// The goals of cost, each with what was measured and whether that meets it: bench/goals.md.
import { table, digits } from './format.mjs'
import { goalsOfProxy } from './goals/proxy.mjs'
import { goalsOfLatency, goalsOfLoading, goalsOfMemory } from './goals/others.mjs'

/** A line for each goal of these results, or an empty text where they have none. */
export function goalsTable(results) {
  const rows = goalsOf(results).map(({ text, sign, limit, value, met, beside }) => [
    text,
    `${sign} ${limit.toLocaleString('en')}`,
    digits(value),
    met ? 'met' : '**missed**',
    beside,
  ])
  return rows.length === 0 ? '' : table(['', 'goal', 'measured', '', ''], rows)
}

/** How many there are, and how many are met. */
export function countOf(results) {
  const goals = goalsOf(results)
  return { all: goals.length, met: goals.filter(({ met }) => met).length }
}

function goalsOf(results) {
  return [
    ...(results.proxy ? goalsOfProxy(results.proxy) : []),
    ...(results.latency ? goalsOfLatency(results.latency) : []),
    ...(results.memory ? goalsOfMemory(results.memory) : []),
    ...(results.loading ? goalsOfLoading(results.loading) : []),
    ...Object.values(results).flatMap(goalsOfOther),
  ]
}

/** Those that a benchmark names itself. */
function goalsOfOther({ goals = [], cases = [] }) {
  const paired = cases.flatMap(({ byNode }) =>
    Object.entries(byNode).flatMap(([node, { goals: own = [] }]) =>
      own.map((goal) => ({ ...goal, text: `${goal.text}, Node ${node}` })),
    ),
  )
  return [...goals, ...paired].map((goal) => ({
    ...goal,
    met: goal.value <= goal.limit,
    sign: '≤',
    beside: goal.quietest === undefined ? '' : `${digits(goal.quietest)} in the quietest tenth of the rounds`,
  }))
}
