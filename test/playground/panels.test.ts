import { once } from 'node:events'
import { expect } from 'chai'
import { describeInChromium, panels, type PlaygroundPage, seenSince } from './playground-page.js'

describeInChromium('playground in a browser', (open) => {
  const seen = seenSince(open)
  let opened: PlaygroundPage
  beforeEach(() => {
    opened = open()
  })

  /** From and to of each arrow of the events panel that ends in `lane`, in ms. */
  async function arrivals(lane: string): Promise<(readonly [number, number])[]> {
    const rows = await opened.tableTimes('events')
    return rows.filter(({ who }) => who.endsWith(lane)).map(({ from, to }) => [from, to])
  }

  it('runs the first panel by itself on arrival', async () => {
    const { page } = opened
    await page.reload()
    await opened.idle('events')
    expect(await opened.panel('events').locator('svg .step').count()).to.equal(16)
    expect(await opened.status('events')).to.match(/^8 events /)
  })

  it('draws events as they arrive with autoFlush, and all at the end without it', async () => {
    const drawn = await opened.recordArrows('events')
    await opened.run('events')
    expect(await drawn()).to.include.members([1, 4, 16])
    const lastWritten = Math.max(...(await arrivals('browser without it')).map(([written]) => written))
    const flushed = await arrivals('browser autoFlush')
    const held = await arrivals('browser without it')
    expect(flushed).to.have.length(8)
    expect(held).to.have.length(8)
    expect(flushed[0]?.[1]).to.be.below(lastWritten)
    for (const [, arrived] of held) expect(arrived).to.be.at.least(lastWritten)
    expect(await opened.status('events')).to.match(
      /^8 events (?:under )?[\d.]+ m?s late with autoFlush, 8 events/,
    )
    const told = await opened.panel('events').innerText()
    expect(told).to.match(/; 8 events came in [2-8] pieces\n/)
    expect(told).to.include('; 8 events came in 1 piece: the compressor kept them')
  })

  it('shows the lines of a command, and how it ended', async () => {
    await opened.run('command', 'Run the command')
    const lines = opened.panel('command').locator('.terminal li')
    expect(await lines.count()).to.equal(15)
    expect(await opened.panel('command').locator('.terminal .warning').allInnerTexts()).to.deep.equal([
      'cache.c:41: warning: unused variable',
    ])
    expect(await opened.status('command')).to.match(/^15 lines, .*; exit code 0\.$/)
    expect(await opened.steps('command')).to.include('The command exits with code 0')
  })

  it('shows that a command ends when its reader leaves', async () => {
    await opened.run('command', 'Run it, and leave half way')
    expect(await opened.steps('command')).to.include.members([
      'The page leaves, and sluiceway ends the process group',
      'The command is gone, by SIGTERM',
    ])
    const running = await fetch(`${opened.playground.listening.url}/command/running`)
    expect(await running.json()).to.deep.equal({ running: 0 })
  })

  it('shows three commands in one response, with their exits', async () => {
    await opened.run('deploy', 'Deploy')
    expect(await opened.panel('deploy').locator('.terminal .prompt').allInnerTexts()).to.deep.equal([
      '$ npm run install',
      '$ npm run test',
      '$ npm run publish',
    ])
    expect(await opened.status('deploy')).to.match(/^3 commands in one response, .*: deployed\.$/)
    expect(await opened.steps('deploy')).to.deep.equal([
      'The page asks, and the first command starts',
      'install exits with 0; the response stays open',
      'test exits with 0; the response stays open',
      'publish exits with 0; the response ends',
    ])
  })

  it('shows that the first command that fails is the last', async () => {
    await opened.run('deploy', 'Deploy with a failing test')
    expect(await opened.panel('deploy').locator('.terminal .warning').allInnerTexts()).to.deep.equal([
      'proxy: 88 failed',
    ])
    expect(await opened.status('deploy')).to.match(/^2 commands in one response, .*: failed: test\.$/)
    expect(await opened.steps('deploy')).to.include('test exits with 1; the response ends')
  })

  for (const size of ['8 MB', '64 MB']) {
    it(`shows the 413 for ${size}, the end of its connection, and that the next request works`, async () => {
      await opened.panel('upload').getByLabel('Size').selectOption(size)
      await opened.run('upload')
      const facts = await opened.facts('upload')
      expect(facts).to.include({
        'The answer': '413 Payload Too Large',
        'Its body says': 'request entity too large · ERR_SLUICEWAY_BODY_TOO_LARGE',
      })
      expect(facts['The next request']).to.match(/^201 Created in (?:under )?[\d.]+ m?s$/)
      const steps = (await opened.steps('upload')).join('\n')
      expect(steps).to.match(/Connection \d+ closes; [\d.,]+ [KM]?B of the body were discarded/)
      const [, first] = /Connection (\d+) brings the head/.exec(steps) ?? []
      const [, next] = /The next request, on connection (\d+), gets 201/.exec(steps) ?? []
      expect(Number(first)).to.be.above(0)
      expect(next).to.match(/^\d+$/).and.not.to.equal(first)
    })
  }

  it('shows beside the 413 that Express alone reads all of the upload before it answers', async () => {
    await opened.panel('upload').getByLabel('Size').selectOption('8 MB')
    await opened.run('upload')
    expect(await opened.steps('upload')).to.include('Without maxBytes: 413 once 8 MB have been read')
    expect(await opened.status('upload')).to.match(
      /^8 MB against a limit of 1 MB: the 413 is here after .* ms; without maxBytes after .*, when 8 MB had been read\.$/,
    )
  })

  it('does not round a byte over the limit to the limit', async () => {
    await opened.panel('upload').getByLabel('Size').selectOption('1 MB and 1 byte')
    await opened.run('upload')
    expect(await opened.status('upload')).to.match(/^1,048,577 B against a limit of 1 MB: /)
  })

  it('accepts an upload of exactly the limit', async () => {
    await opened.panel('upload').getByLabel('Size').selectOption('1048576')
    await opened.run('upload')
    expect(await opened.facts('upload')).to.include({ 'The answer': '201 Created', 'Let in': '1 MB' })
    expect(await opened.steps('upload')).to.include('The handler has read 1 MB')
    expect(await opened.panel('upload').getByRole('alert').isVisible()).to.equal(false)
  })

  it('parses one POST into two shapes and shows the same fingerprint in three places', async () => {
    await opened.run('body')
    const panel = opened.panel('body')
    expect(JSON.parse((await panel.locator('[data-shape=order]').textContent()) ?? '')).to.deep.equal({
      id: 'A-1007',
      pack: ['2 × tea', '6 × cups'],
      total: 27,
    })
    expect(JSON.parse((await panel.locator('[data-shape=audit]').textContent()) ?? '')).to.include({
      who: 'Ada (GB)',
    })
    const prints = await panel.locator('.prints code').allTextContents()
    expect(prints).to.have.length(3)
    expect(new Set(prints)).to.have.property('size', 1)
    const readings = (await opened.steps('body'))
      .map((step) => /^(?:First|Second|Third|Fourth)(?=: )/.exec(step)?.[0])
      .filter(Boolean)
    expect(readings).to.deep.equal(['First', 'Second', 'Third', 'Fourth'])
  })

  it('says that the signature does not match a changed byte, and how to fix it', async () => {
    await opened.panel('body').getByLabel('change one byte').check()
    await opened.run('body')
    expect(await opened.problem('body')).to.deep.equal({
      what: 'The signature does not fit these bytes: somebody changed them on the way.',
      code: '401 Unauthorized · SIGNATURE_MISMATCH',
      remedy: 'What to do: Untick “change one byte”, and post again.',
    })
    expect(seen().requests).to.equal(0)
  })

  it('says which field does not match the schema', async () => {
    await opened.panel('body').getByLabel('The body to post').fill('{"id":1}')
    await opened.run('body')
    const { what, code } = await opened.problem('body')
    expect(what).to.match(/id: Invalid input: expected string/)
    expect(code).to.equal('400 Bad Request · ERR_SLUICEWAY_BODY_INVALID')
  })

  for (const [key, advice] of [
    ['"__proto__": {}', 'Remove the key “__proto__”'],
    ['"constructor": { "prototype": {} }', 'Remove the key “__proto__”, or “prototype” in “constructor”'],
    ['"id": 1,', 'Mend the JSON: it ends too early, or a comma or quote is missing.'],
  ] as const) {
    it(`gives the advice that fits a body with ${key}`, async () => {
      await opened.panel('body').getByLabel('The body to post').fill(`{ ${key} }`)
      await opened.run('body')
      const { code, remedy } = await opened.problem('body')
      expect(code).to.equal('400 Bad Request · ERR_SLUICEWAY_BODY_MALFORMED')
      expect(remedy).to.contain(`What to do: ${advice}`)
    })
  }

  describe('without their server', () => {
    before(() => open.close())
    afterEach(() => open.close())

    it('says in words that the server is gone, in every panel', async () => {
      const { server } = opened.playground
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
      for (const name of panels) {
        await opened.run(name)
        expect(await opened.problem(name), name).to.deep.equal({
          what: 'The playground’s server gives no answer.',
          code: 'no HTTP status: the connection failed',
          remedy:
            'What to do: Start it again with “npm start” in its terminal, then press the button once more.',
        })
      }
    })

    it('says in words that the server went away halfway', async () => {
      await opened.start('events')
      await opened.panel('events').locator('svg .step .head').first().waitFor()
      opened.playground.server.closeAllConnections()
      await opened.idle('events')
      expect((await opened.problem('events')).what).to.match(/^The connection broke after \d events?, before/)
    })
  })
})
