// The versions of Node that a run covers: `--nodes 20=/usr/bin/node,24=/opt/node24/bin/node`, or BENCH_NODES; else the running one.
import { execFileSync } from 'node:child_process'

/** `{ major, version, file }` each, in the order given. One that cannot be started is an error before anything is measured. */
export function nodesOf(text) {
  if (!text) return [nodeAt(process.execPath)]
  return text.split(',').map((each) => nodeAt(each.slice(each.indexOf('=') + 1), each.split('=')[0]))
}

function nodeAt(file, expected) {
  const version = execFileSync(file, ['-p', 'process.versions.node'], { encoding: 'utf8' }).trim()
  const [major] = version.split('.')
  if (expected !== undefined && expected !== file && expected !== major)
    throw new Error(`${file} is Node ${version}, not ${expected}`)
  return { major, version, file }
}

/** The version that work is measured on which is measured on one only: 24, or the newest. */
export function middleOf(nodes) {
  return nodes.find(({ major }) => major === '24') ?? nodes.at(-1)
}
