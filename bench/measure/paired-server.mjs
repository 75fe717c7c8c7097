// Serves the variants of a paired benchmark: `node paired-server.mjs <URL of its module> <URL of the upstream>`.
import { createServer } from 'node:http'
import express from 'express'
import { pathOf } from './paired.mjs'
import { listen, report } from './usage.mjs'
import { countWrites } from './writes.mjs'

const [module, upstream] = process.argv.slice(2)
const { cases, countsWrites = false } = await import(module)
const app = express()
for (const [index, { variants }] of cases(upstream).entries()) {
  for (const [number, handlers] of Object.values(variants).entries()) {
    app.use(pathOf(index, number), express().use(...handlers))
  }
}
report(await listen(createServer(app)), countsWrites ? { writes: countWrites() } : {})
