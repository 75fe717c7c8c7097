import { expect } from 'chai'
import { describeInChromium, type PlaygroundPage, seenSince } from './playground-page.js'

describeInChromium('panels of the proxy in a browser', (open) => {
  const seen = seenSince(open)
  let opened: PlaygroundPage
  beforeEach(() => {
    opened = open()
  })

  it('shows the changes of A to the headers of the request and the response', async () => {
    await opened.run('proxy', 'Ask once')
    await opened.unfold('proxy')
    const row = (name: string): Promise<string[]> =>
      opened
        .panel('proxy')
        .locator('tr', { has: opened.page.locator(`th:text-matches("^${name}")`) })
        .locator('td')
        .allInnerTexts()
    const [a, b] = [opened.playground.listening.url, opened.playground.upstream.url].map((url) =>
      url.replace('http://', ''),
    )
    expect(await row('host')).to.deep.equal([a, b])
    expect(await row('x-forwarded-for')).to.deep.equal(['–', '127.0.0.1'])
    expect(await row('x-hop')).to.deep.equal(['between A and B only', '–'])
    expect(await row('x-answered-by')).to.deep.equal(['B', 'B'])
  })

  it('sends ten GETs over one connection on each side', async () => {
    await opened.run('proxy', 'Ask ten times')
    expect(await opened.status('proxy')).to.match(/^10 answers/)
    const facts = await opened.facts('proxy')
    expect(facts['browser → A']).to.match(/^10 requests on connection \d+$/)
    expect(facts['A → B']).to.match(/^10 requests on connection \d+$/)
    expect(seen()).to.include({ requests: 10 })
    expect(seen().connections).to.be.at.most(1)
  })

  it('streams an upload through the proxy', async () => {
    await opened.run('proxy', 'Upload 24 MB')
    const [, pieces] = /^24 MB reached B in (\d+) pieces/.exec(await opened.status('proxy')) ?? []
    expect(Number(pieces)).to.be.above(10)
  })

  it('draws each event of the upstream before the next one is sent', async () => {
    const drawn = await opened.recordArrows('proxy')
    await opened.run('proxy', 'Follow events')
    expect(await drawn()).to.include.members([1, 4, 8])
    expect(await opened.status('proxy')).to.match(/^8 events through A/)
  })

  it('shows that B stops with its client behind sluiceway, and works on behind fetch and pipe', async () => {
    await opened.run('proxy', 'Leave half way')
    expect(await opened.status('proxy')).to.match(/^You left\. B behind sluiceway stopped /)
    expect(await opened.steps('proxy')).to.deep.equal([
      'B behind sluiceway begins to work for a second',
      'B behind fetch and pipe begins to work for a second',
      'The page leaves, and B behind sluiceway hears of it and stops',
      'B behind fetch and pipe has worked to the end, and nobody reads it',
    ])
    const lanes = await opened.panel('proxy').locator('svg .name').allTextContents()
    expect(lanes).to.deep.equal(['B', 'browser', 'B'])
    await opened.run('proxy', 'Ask once')
    expect(await opened.panel('proxy').locator('svg .name').allTextContents()).to.deep.equal([
      'browser',
      'A',
      'B',
    ])
  })

  it('shows a compressed stream that is changed piece by piece', async () => {
    const drawn = await opened.recordArrows('changed')
    await opened.run('changed')
    expect(await drawn()).to.include.members([1, 3, 6])
    expect(await opened.panel('changed').locator('.terminal li').allTextContents()).to.deep.equal(
      [1, 2, 3, 4, 5, 6].map((payment) => `•••• •••• •••• ${1000 + payment}`),
    )
    expect(await opened.status('changed')).to.match(
      /^6 payments masked, .*; the upstream’s coding was gzip\.$/,
    )
  })

  it('talks over a WebSocket behind the check', async () => {
    await opened.panel('socket').getByLabel('Message').fill('good day')
    await opened.panel('socket').getByLabel('Message').press('Enter')
    await opened.idle('socket')
    expect(await opened.status('socket')).to.match(/^5 messages echoed/)
    expect(await opened.steps('socket')).to.include.members([
      'The check finds a session',
      '“good day 1” comes back',
    ])
    expect(seen().upgrades).to.equal(1)
  })

  it('shows that the check answers a stranger, and the upstream gets no request', async () => {
    await opened.panel('socket').getByLabel('I am logged in').uncheck()
    await opened.run('socket')
    expect(await opened.problem('socket')).to.deep.equal({
      what: 'The server refused the handshake.',
      code: '401 · NOT_LOGGED_IN',
      remedy: 'What to do: Tick “I am logged in”, and connect again.',
    })
    expect(seen().upgrades).to.equal(0)
  })

  it('shows words that go both ways over one POST', async () => {
    await opened.run('duplex')
    expect(await opened.status('duplex')).to.match(
      /^5 words answered inside one POST, .*ONE POST, WORDS BOTH WAYS$/,
    )
    expect(seen().requests).to.equal(1)
  })
})
