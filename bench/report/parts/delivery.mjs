// Who delivers the 413: the tables of docs/max-bytes.md, and README's, which shows some clients and counts only.
import { table } from '../format.mjs'

/** Columns of README's table; the version that a title may end with is left out. */
const SHOWN = ['writes all, then reads', 'endless sender', 'fetch of Node', 'curl']
const LEFT_OUT = /multer|over TLS/

export function deliveryParts(result) {
  return [
    { file: 'README.md', name: 'delivery', text: readmeTable(result) },
    { file: 'docs/max-bytes.md', name: 'delivery', text: pageText(result) },
  ]
}

function readmeTable({ tables }) {
  const { clients, rows } = tables.find(({ framing }) => framing === 'chunked')
  const columns = SHOWN.map((shown) => clients.findIndex((client) => client.startsWith(shown))).filter(
    (column) => column !== -1,
  )
  const lines = rows
    .filter(({ server }) => !LEFT_OUT.test(server))
    .map(({ server, cells }) => [server, ...columns.map((column) => cells[column].split(',')[0])])
  return table(['', ...SHOWN.filter((shown) => clients.some((client) => client.startsWith(shown)))], lines)
}

function pageText({ date, machine, node, times, tables, missing, failures }) {
  return [
    `\`npm run bench -- delivery\`, ${date}, ${machine}, Node ${node}, N = ${times}, loopback.`,
    ...missing,
    ...tables.map(({ framing, clients, rows }) =>
      table(
        [framing, ...clients],
        rows.map(({ server, cells }) => [server, ...cells]),
      ),
    ),
    ...(failures.length > 0
      ? [`What came instead of a 413:\n\n${failures.map((each) => `- ${each}`).join('\n')}`]
      : []),
  ].join('\n\n')
}
