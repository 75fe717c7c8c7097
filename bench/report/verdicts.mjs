// What docs/benchmarks.md begins with, and README's table of where others are ahead. All is made from the figures: a
// difference below 5 % is none.
import { table } from './format.mjs'
import { namesOf } from './verdicts/compare.mjs'
import { onLatency, onMemory, onWebSockets } from './verdicts/latency-memory.mjs'
import { onDelivery, onRefused, onStreams } from './verdicts/many-clients.mjs'
import { onMiddlewares } from './verdicts/middlewares.mjs'
import { onCpu, onPeak } from './verdicts/proxy.mjs'

/** `{ work, unit, nodes, own, ahead, same, behind }` for each figure that has peers. */
export function besidePeers({ proxy, latency, memory, websockets, ...results }) {
  return [
    ...(proxy ? [...onCpu(proxy), ...onPeak(proxy)] : []),
    ...(latency ? onLatency(latency) : []),
    ...(memory ? onMemory(memory) : []),
    ...(websockets ? onWebSockets(websockets) : []),
    ...(results['idle-streams'] ? onStreams(results['idle-streams']) : []),
    ...(results['refused-uploads'] ? onRefused(results['refused-uploads']) : []),
  ]
}

/** What matters most to users of a proxy, and how many others a cell of README names. */
const TOPICS = ['GET, 300 bytes', '10 MB up', 'Server-sent events', 'p99 at']
const NAMED = 3

/** Where other proxies are ahead in what matters most, in short. */
export function othersAhead({ proxy, latency }) {
  const all = besidePeers({ proxy, latency }).filter(({ ahead }) => ahead.length > 0)
  const meant = TOPICS.flatMap((topic) => all.filter(({ work }) => work.startsWith(topic)))
  return table(
    ['', 'Node', 'sluiceway', 'others, as a share of it'],
    meant.map((verdict) => [...headOf(verdict), namesOf(verdict.ahead, NAMED)]),
  )
}

function headOf({ work, unit, nodes, own }) {
  return [`**${work}**: ${unit}`, nodes.join(', '), own]
}

export function verdictsText(results) {
  const peers = besidePeers(results)
  const added = onMiddlewares(results)
  return [
    peers.length > 0 && `## Beside its peers\n\n${ratios}\n\n${peersTable(peers)}`,
    ...(results['refused-uploads'] ? onDelivery(results['refused-uploads']) : []),
    added.length > 0 && `## What each middleware adds\n\n${addedTable(added)}`,
  ]
    .filter(Boolean)
    .join('\n\n')
}

const ratios =
  'Lower figures are better. Those of the others are multiples of ours: 0.50 is half of it, 2.00 twice as much; where there are two, they are the least and the most over the versions of Node.'

function peersTable(verdicts) {
  return table(
    ['', 'Node', 'sluiceway', 'lower', 'about the same', 'higher'],
    verdicts.map((verdict) => [
      ...headOf(verdict),
      ...[verdict.ahead, verdict.same, verdict.behind].map((peers) => namesOf(peers)),
    ]),
  )
}

function addedTable(rows) {
  return table(
    ['', 'Node', 'cost'],
    rows.map(({ name, title, nodes, cost }) => [`**${name}**, ${title}`, nodes.join(', '), cost]),
  )
}
