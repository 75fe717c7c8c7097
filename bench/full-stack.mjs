// All four middlewares on one proxied JSON POST, against the sum of what each adds alone.
import { autoFlush } from '../dist/esm/auto-flush.js'
import { bodyCache } from '../dist/esm/body-cache.js'
import { maxBytes } from '../dist/esm/max-bytes.js'
import { passthroughProxy } from '../dist/esm/passthrough-proxy.js'
import { comparePaired, openPosts } from './measure/paired.mjs'
import { ITEMS, answer } from './upstream/answers.mjs'
import { startUpstreams } from './upstream/index.mjs'

const json = Buffer.from(JSON.stringify({ value: 'x'.repeat(1012) }))

export async function run(options) {
  const upstreams = await startUpstreams(options)
  const result = await comparePaired(import.meta.url, { ...options, upstream: upstreams.fast.url })
  await upstreams.stop()
  return { ...result, upstream: upstreams.title }
}

export function cases(upstream) {
  const proxied = (...before) => [...before, passthroughProxy(upstream)]
  return [
    {
      title: 'JSON POST of 1 KB, proxied',
      amount: 500,
      variants: {
        'Express answers': [(req, res) => answer(req, res)],
        passthroughProxy: proxied(),
        'maxBytes, passthroughProxy': proxied(maxBytes('1mb')),
        'bodyCache, passthroughProxy': proxied(bodyCache()),
        'autoFlush, passthroughProxy': proxied(autoFlush()),
        'all four': proxied(maxBytes('1mb'), bodyCache(), autoFlush()),
      },
      open: ({ port, path }) =>
        openPosts({ port, path: `${path}/upload`, type: 'application/json', body: json, expected: ITEMS }),
      goals,
    },
  ]
}

/** Only what is above the floor is compared: with the floor on both sides the limit would be easier to keep. */
function goals(rows) {
  const floor = rows['Express answers'].cpu
  const proxy = rows.passthroughProxy.cpu
  const parts = ['maxBytes', 'bodyCache', 'autoFlush'].map(
    (name) => rows[`${name}, passthroughProxy`].cpu - proxy,
  )
  const sum = parts.reduce((total, part) => total + part, proxy - floor)
  const value = (rows['all four'].cpu - floor) / sum
  return [{ text: 'all four, above the floor, against the sum of what each adds', limit: 1.1, value }]
}
