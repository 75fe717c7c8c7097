import { expect } from 'chai'
import { app } from '../../.recipes/command-output.js'
import { nextLine, requestLines } from '../support/clients/decoded-lines.js'
import { closeServers, serve } from '../support/servers/servers.js'

describe("recipe: stream a command's output", () => {
  afterEach(closeServers)

  it('delivers stdout and stderr in order, each step before the command has ended', async () => {
    const { url } = await serve(app)
    const build = await requestLines(`${url}/build`)
    let ended = false
    build.response.on('end', () => {
      ended = true
    })
    for (const step of [1, 2, 3]) {
      // Both are written at once to two pipes: which one is read first is up to the system.
      const pair = [await nextLine(build), await nextLine(build)].toSorted()
      expect(pair).to.deep.equal([`step ${step} of 3`, `warning: step ${step} is slow`])
      expect(ended, `ended at step ${step}`).to.equal(false)
    }
    expect((await build.lines.next()).done).to.equal(true)
  })
})
