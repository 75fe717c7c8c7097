// The goals of cost, each with what was measured and whether that meets it: bench/goals.md.
import { table, digits } from './format.mjs'
import { groups, inGroup } from './goals/goal.mjs'
import { goalsOfLatency, goalsOfLoading, goalsOfMemory } from './goals/others.mjs'
import { goalsOfProxy } from './goals/proxy.mjs'

/** A line for each goal of these results, or an empty text where they have none. */
export function goalsTable(results) {
  return tableOf(goalsOf(results))
}

/** How many there are, and how many are met. */
export function countOf(results) {
  return count(goalsOf(results))
}

/** `{ heading, text }` of each group of goals, and of what else `tried` (bench/tried.md) tells of: table, then profile. */
export function groupsOf(results, tried) {
  const goals = goalsOf(results)
  const notes = new Map(tried.split(/^## /m).slice(1).map(sectionOf))
  const named = Object.entries(groups).map(([group, heading]) => {
    const own = goals.filter((goal) => goal.group === group)
    const { all, met } = count(own)
    const state = all === 0 ? '' : `${met} of ${all} are met.\n\n${tableOf(own)}`
    return { heading, text: [state, notes.get(heading)].filter(Boolean).join('\n\n') }
  })
  const others = [...notes].filter(([heading]) => !Object.values(groups).includes(heading))
  return [...named.filter(({ text }) => text), ...others.map(([heading, text]) => ({ heading, text }))]
}

/** Heading and text of a section of bench/tried.md. */
function sectionOf(section) {
  const [heading, ...lines] = section.split('\n')
  return [heading.trim(), lines.join('\n').trim()]
}

function count(goals) {
  return { all: goals.length, met: goals.filter(({ met }) => met).length }
}

function tableOf(goals) {
  const rows = goals.map(({ text, sign, limit, value, met, beside }) => [
    text,
    `${sign} ${limit.toLocaleString('en')}`,
    digits(value),
    met ? 'met' : '**missed**',
    beside,
  ])
  return rows.length === 0 ? '' : table(['', 'goal', 'measured', '', ''], rows)
}

function goalsOf(results) {
  return [
    ...(results.proxy ? goalsOfProxy(results.proxy) : []),
    ...(results.latency ? inGroup('latency', goalsOfLatency(results.latency)) : []),
    ...(results.memory ? inGroup('peak', goalsOfMemory(results.memory)) : []),
    ...(results.loading ? inGroup('loading', goalsOfLoading(results.loading)) : []),
    ...Object.entries(results).flatMap(([name, result]) => inGroup(groupOf(name), goalsOfOther(result))),
  ]
}

function groupOf(name) {
  return name === 'idle-connections' ? 'connections' : 'middlewares'
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
