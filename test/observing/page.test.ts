import { createServer } from 'node:http'
import { expect } from 'chai'
import type { ChannelMessages } from 'sluiceway'
import { RecipeProcess } from '../support/recipes/recipe-process.js'
import { readText } from '../support/repository/repository.js'
import { closeServers, listen } from '../support/servers/servers.js'
import { until } from '../support/time/until.js'

/** Every channel, as the types have it. */
const channels: Record<keyof ChannelMessages, true> = {
  'sluiceway:body:refused': true,
  'sluiceway:body:spilled': true,
  'sluiceway:body:stored': true,
  'sluiceway:flush': true,
  'sluiceway:child:start': true,
  'sluiceway:child:exit': true,
  'sluiceway:upgrade': true,
  'sluiceway:contained': true,
  'tracing:sluiceway:proxy:start': true,
  'tracing:sluiceway:proxy:end': true,
  'tracing:sluiceway:proxy:asyncStart': true,
  'tracing:sluiceway:proxy:asyncEnd': true,
  'tracing:sluiceway:proxy:error': true,
}

describe('docs/observing.md', () => {
  let program: RecipeProcess | undefined
  afterEach(async () => {
    await program?.end()
    await closeServers()
  })

  it('has a row for each channel and for each event, and none else', () => {
    const rows = [...readText('docs/observing.md').matchAll(/^\| `([\w:]+)` \|/gm)].map(
      ([, name = '']) => name,
    )
    const names = Object.keys(channels).map((name) => name.replace('tracing:sluiceway:proxy:', ''))
    expect(rows).to.have.members(names)
  })

  it('begins with a program that prints the lines on the page', async () => {
    const { url } = await listen(createServer((req, res) => req.resume().on('end', () => res.end('ok'))))
    const { port, printed } = (program = await RecipeProcess.start('observing', { UPSTREAM: url }))
    for (const body of ['small', 'x'.repeat(2_000_000)]) {
      await (await fetch(`http://127.0.0.1:${port}/api/x`, { method: 'POST', body })).text()
    }
    await until(() => printed.length === 2)
    expect(printed[0]).to.match(/^POST \/api\/x: 200, answered, \d+ ms$/)
    expect(printed[1]).to.equal('POST /api/x: request entity too large')
  })
})
