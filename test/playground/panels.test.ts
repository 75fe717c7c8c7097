import { expect } from 'chai'
import type { BrowserContext, Page } from 'playwright-core'
import { createPlayground } from '../../docs/playground/server.js'
import type { Upstream } from '../../docs/playground/upstream.js'
import { requireChromium } from '../support/chromium.js'
import { closeServers, listen, type TestServer } from '../support/servers.js'

describe('playground in a browser', function () {
  this.timeout(60_000)

  let context: BrowserContext | undefined
  let closeBrowser: (() => Promise<void>) | undefined
  let playground: TestServer
  let upstream: Upstream
  let page: Page
  let mistakes: string[]

  before(async function () {
    ;({ context, close: closeBrowser } = await requireChromium(this))
  })
  after(() => closeBrowser?.())

  beforeEach(async () => {
    const { server, upstream: behind } = await createPlayground()
    upstream = behind
    playground = await listen(server)
    page = await (context as BrowserContext).newPage()
    mistakes = []
    page.on('pageerror', (error) => mistakes.push(error.message))
    await page.goto(playground.url)
  })
  afterEach(async () => {
    await page.close()
    await closeServers()
    upstream.server.closeAllConnections()
    await new Promise((resolve) => upstream.server.close(resolve))
    expect(mistakes).to.deep.equal([])
  })

  it('names the four middlewares', async () => {
    const text = await page.locator('header').innerText()
    for (const name of ['maxBytes', 'bodyCache', 'autoFlush', 'passthroughProxy'])
      expect(text).to.include(name)
  })

  it('draws lines as they come with autoFlush, and all at the end without', async () => {
    const panel = page.locator('#lines')
    await panel.getByRole('button', { name: 'Run the command' }).click()
    await panel.locator('[data-lane=flushed] li').nth(3).waitFor()
    expect(await panel.locator('[data-lane=held] li').count()).to.equal(0)
    await idle('lines')
    for (const lane of ['flushed', 'held']) {
      expect(await panel.locator(`[data-lane=${lane}] li`).count(), lane).to.equal(12)
      expect(await panel.locator(`[data-lane=${lane}] svg circle.printed`).count(), lane).to.equal(12)
    }
    expect(await panel.locator('[data-lane=held] svg circle.late').count()).to.be.at.least(10)
    expect(await panel.locator('[data-status]').innerText()).to.match(
      /^done: a line came .* late with autoFlush/,
    )
  })

  for (const size of ['8388608', '67108864']) {
    it(`shows the 413 for ${Number(size) / 1024 / 1024} MB, and that the next request works`, async () => {
      const panel = page.locator('#upload')
      await panel.getByLabel('Size').selectOption(size)
      await panel.getByRole('button', { name: 'Upload' }).click()
      await idle('upload')
      expect(await panel.locator('[data-status]').innerText()).to.equal(
        '413 Payload Too Large: request entity too large',
      )
      const facts = await panel.locator('.facts').innerText()
      expect(facts).to.match(/It came after\s+\d/)
      expect(facts).to.match(/Left the browser by then\s+[\d.]+ [KM]?B/)
      expect(facts).to.match(/The next request\s+201 Created/)
    })
  }

  it('takes an upload of exactly the limit', async () => {
    await page.locator('#upload').getByLabel('Size').selectOption('1048576')
    await page.locator('#upload').getByRole('button', { name: 'Upload' }).click()
    await idle('upload')
    expect(await page.locator('#upload [data-status]').innerText()).to.equal('201 Created')
    expect(
      await page.locator('#upload progress').evaluate((meter: { value: number }) => meter.value),
    ).to.equal(1048576)
  })

  it('parses one POST into two shapes and shows the same digest in three places', async () => {
    const panel = page.locator('#body')
    await panel.getByRole('button', { name: 'Sign and post' }).click()
    await idle('body')
    expect(JSON.parse(await panel.locator('[data-shape=order]').innerText())).to.deep.equal({
      id: 'A-1007',
      pack: ['2 × tea', '6 × cups'],
      total: 27,
    })
    expect(JSON.parse(await panel.locator('[data-shape=audit]').innerText())).to.include({ who: 'Ada (GB)' })
    const label = (await panel.getByRole('img').getAttribute('aria-label')) ?? ''
    expect(label).to.match(/your browser: (\w{8}), the gateway: \1, the upstream: \1$/)
  })

  it('says that the signature does not fit a changed byte', async () => {
    const panel = page.locator('#body')
    await panel.getByLabel('change one byte after signing').check()
    await panel.getByRole('button', { name: 'Sign and post' }).click()
    await idle('body')
    expect(await panel.getByRole('alert').innerText()).to.match(/401 .*signature does not fit/)
    expect(upstream.seen.requests).to.equal(0)
  })

  it('says which field does not fit the schema', async () => {
    const panel = page.locator('#body')
    await panel.getByLabel('The body to post').fill('{"id":1}')
    await panel.getByRole('button', { name: 'Sign and post' }).click()
    await idle('body')
    expect(await panel.getByRole('alert').innerText()).to.match(/400 .*id Invalid input: expected string/)
  })

  it('sends ten GETs over one connection to the upstream', async () => {
    await press('Ten GETs')
    expect(await status('proxy')).to.match(/^10 answers/)
    expect(await count('requests')).to.equal('10')
    expect(await count('connections')).to.equal('1')
  })

  it('streams an upload through the proxy', async () => {
    await press('Upload 24 MB')
    const [, pieces] = /^24 MB reached the upstream in (\d+) pieces/.exec(await status('proxy')) ?? []
    expect(Number(pieces)).to.be.above(10)
  })

  it('draws each server-sent event before the next one is sent', async () => {
    const panel = page.locator('#proxy')
    await panel.getByRole('button', { name: 'Server-sent events' }).click()
    await panel.locator('[data-traffic] circle').nth(1).waitFor()
    expect(await panel.locator('[data-traffic] circle').count()).to.be.below(12)
    await idle('proxy')
    expect(await status('proxy')).to.match(/^12 events/)
  })

  it('talks over a WebSocket through the proxy', async () => {
    await press('WebSocket')
    expect(await status('proxy')).to.match(/^8 messages echoed/)
    expect(await count('WebSockets')).to.equal('1')
  })

  it('works with the keyboard alone', async () => {
    const button = page.locator('#proxy').getByRole('button', { name: 'Ten GETs' })
    for (let tabs = 0; tabs < 40 && !(await isFocused(button)); tabs++) await page.keyboard.press('Tab')
    expect(await isFocused(button)).to.equal(true)
    await page.keyboard.press('Enter')
    await page.waitForFunction(
      `document.querySelector('#proxy [data-status]').textContent.startsWith('10 answers')`,
    )
  })

  it('says in words that the server is gone', async () => {
    playground.server.closeAllConnections()
    await new Promise((resolve) => playground.server.close(resolve))
    for (const id of ['lines', 'body', 'proxy']) {
      await page.locator(`#${id} button`).last().click()
      await idle(id)
      expect(await page.locator(`#${id}`).getByRole('alert').innerText(), id).to.match(/gave no answer/)
    }
    await page.locator('#upload').getByRole('button', { name: 'Upload' }).click()
    await idle('upload')
    expect(await page.locator('#upload').getByRole('alert').innerText()).to.match(/no answer came/)
  })

  for (const colorScheme of ['light', 'dark'] as const) {
    it(`fits a phone in ${colorScheme} colours`, async () => {
      await page.emulateMedia({ colorScheme })
      await page.setViewportSize({ width: 360, height: 740 })
      for (const [id, name] of [
        ['upload', 'Upload'],
        ['body', 'Sign and post'],
        ['proxy', 'Ten GETs'],
      ] as const) {
        await page.locator(`#${id}`).getByRole('button', { name }).click()
        await idle(id)
      }
      expect(await page.evaluate('document.documentElement.scrollWidth')).to.equal(360)
    })
  }

  async function press(name: string): Promise<void> {
    await page.locator('#proxy').getByRole('button', { name }).click()
    await idle('proxy')
  }

  /** Waits until the panel's action is over: its buttons are on again. */
  async function idle(id: string): Promise<void> {
    await page.waitForFunction(`document.querySelector('#${id} button:disabled') === null`)
  }

  function status(id: string): Promise<string> {
    return page.locator(`#${id} [data-status]`).innerText()
  }

  async function count(name: string): Promise<string | null> {
    return page.locator(`#proxy [data-count="${name}"]`).textContent()
  }
})

function isFocused(element: ReturnType<Page['getByRole']>): Promise<boolean> {
  return element.evaluate((node: { matches: (selector: string) => boolean }) => node.matches(':focus'))
}
