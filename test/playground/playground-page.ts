import { expect } from 'chai'
import type { BrowserContext, Locator, Page } from 'playwright-core'
import { createPlayground, type Playground } from '../../docs/playground/server.js'
import type { Seen } from '../../docs/playground/upstream.js'
import { requireChromium } from '../support/clients/chromium.js'
import { closeServers, listen, type TestServer } from '../support/servers/servers.js'

/** A row of the table under a timeline: the side and the times in ms. */
export interface TableTimes {
  readonly who: string
  readonly from: number
  readonly to: number
}

function milliseconds(text: string): number {
  return Number.parseFloat(text.replaceAll(',', ''))
}

export interface RunningPlayground extends Playground {
  readonly listening: TestServer
}

/** Starts the playground on a free port. `closePlayground` ends both of its servers. */
export async function startPlayground(): Promise<RunningPlayground> {
  const playground = await createPlayground()
  return { ...playground, listening: await listen(playground.server) }
}

export async function closePlayground({ upstream }: Playground): Promise<void> {
  await closeServers()
  upstream.server.closeAllConnections()
  await new Promise((resolve) => upstream.server.close(resolve))
}

/** The panels in the order of the page, each with its first button. */
export const panels = [
  'events',
  'command',
  'deploy',
  'upload',
  'body',
  'proxy',
  'changed',
  'socket',
  'duplex',
] as const
export type PanelName = (typeof panels)[number]

/** The page of a fresh playground in Chromium, for one test. */
export class PlaygroundPage {
  readonly page: Page
  readonly playground: RunningPlayground
  /** What must not happen: exceptions, breaches of the page's policy, requests to anybody else. */
  readonly mistakes: string[] = []

  private constructor(page: Page, playground: RunningPlayground) {
    this.page = page
    this.playground = playground
    page.on('pageerror', (error) => this.mistakes.push(error.message))
    page.on('console', (message) => {
      if (/Content.Security.Policy/i.test(message.text())) this.mistakes.push(message.text())
    })
    page.on('request', (request) => {
      if (!request.url().startsWith(playground.listening.url)) this.mistakes.push(request.url())
    })
  }

  static async open(context: BrowserContext): Promise<PlaygroundPage> {
    const playground = await startPlayground()
    const opened = new PlaygroundPage(await context.newPage(), playground)
    await opened.page.goto(playground.listening.url)
    await opened.idle('events') // which runs by itself on arrival
    return opened
  }

  async close(): Promise<void> {
    await this.page.close()
    await closePlayground(this.playground)
  }

  async resetForms(): Promise<void> {
    await this.page.evaluate('document.querySelectorAll("form").forEach((form) => form.reset())')
  }

  panel(name: PanelName): Locator {
    return this.page.locator(`#${name}`)
  }

  /** Presses the panel's button, the first one where none is named, and waits until its run is over. */
  async run(name: PanelName, button?: string): Promise<void> {
    await this.start(name, button)
    await this.idle(name)
  }

  async start(name: PanelName, button?: string): Promise<void> {
    const panel = this.panel(name)
    await (
      button === undefined
        ? panel.locator('[data-run]').first()
        : panel.getByRole('button', { name: button, exact: true })
    ).click()
  }

  /** Unfolds everything in the panel, or on the page. */
  async unfold(name?: PanelName): Promise<void> {
    await this.page.evaluate(
      `document.querySelectorAll('${name === undefined ? '' : `#${name} `}details').forEach((details) => { details.open = true })`,
    )
  }

  /** Waits until nothing of the panel runs. */
  async idle(name: PanelName): Promise<void> {
    await this.page.locator(`#${name}[aria-busy=false]`).waitFor()
  }

  /** The line of text beside the buttons. */
  status(name: PanelName): Promise<string> {
    return this.panel(name).locator('[data-status]').innerText()
  }

  /** What the panel says of a failure: what happened, the code, what to do. */
  async problem(name: PanelName): Promise<{ what: string; code: string; remedy: string }> {
    const [what = '', code = '', remedy = ''] = await this.panel(name)
      .getByRole('alert')
      .locator('p')
      .allInnerTexts()
    return { what, code, remedy }
  }

  /** The numbered steps under the panel's timeline, in words. */
  steps(name: PanelName): Promise<string[]> {
    return this.panel(name).locator('.legend li > :last-child').allInnerTexts()
  }

  /** What the table under the timeline says of each step. */
  async tableTimes(name: PanelName): Promise<TableTimes[]> {
    const rows = this.panel(name).locator('[data-timeline] tbody tr')
    const [times, whos] = await Promise.all(
      ['td:nth-child(1)', 'td:nth-child(2)'].map((cell) => rows.locator(cell).allTextContents()),
    )
    return (times ?? []).map((text, index) => {
      const [from = NaN, to = from] = text.split(' → ').map(milliseconds)
      return { who: whos?.[index] ?? '', from, to }
    })
  }

  /** From now on notes how many arrows the timeline has each time that it is drawn; the answer tells them. */
  async recordArrows(name: PanelName): Promise<() => Promise<number[]>> {
    await this.page.evaluate(`(() => {
      const picture = document.querySelector('#${name} .picture')
      window.arrows = []
      new MutationObserver(() => arrows.push(picture.querySelectorAll('.head').length)).observe(picture, { childList: true })
    })()`)
    return () => this.page.evaluate<number[]>('arrows')
  }

  /** The results of the panel, by their terms. */
  async facts(name: PanelName): Promise<Record<string, string>> {
    const list = this.panel(name).locator('.facts')
    const [terms, values] = [
      await list.locator('dt').allTextContents(),
      await list.locator('dd').allTextContents(),
    ]
    return Object.fromEntries(terms.map((term, index) => [term, values[index] ?? '']))
  }
}

/** The open page of a suite. */
export interface OpenPage {
  (): PlaygroundPage
  /** Closes page and playground; the next test gets new ones. */
  readonly close: () => Promise<void>
}

/**
 * Calls `define` with a function that returns the open page. All tests of the suite share it, because opening it takes
 * longer than most of them.
 */
export function describeInChromium(title: string, define: (open: OpenPage) => void): void {
  describe(title, function () {
    this.timeout(60_000)

    let context: BrowserContext
    let closeBrowser: (() => Promise<void>) | undefined
    let opened: PlaygroundPage | undefined

    before(async function () {
      ;({ context, close: closeBrowser } = await requireChromium(this))
      await context.grantPermissions(['clipboard-read', 'clipboard-write'])
    })
    beforeEach(async () => {
      opened ??= await PlaygroundPage.open(context)
      await opened.resetForms()
    })
    afterEach(() => {
      expect(opened?.mistakes ?? []).to.deep.equal([])
    })
    after(async () => {
      await close()
      await closeBrowser?.()
    })

    async function close(): Promise<void> {
      const closing = opened
      opened = undefined
      await closing?.close()
      expect(closing?.mistakes ?? []).to.deep.equal([])
    }

    define(Object.assign(() => opened as PlaygroundPage, { close }))
  })
}

/** Returns a function that tells what has reached the upstream since the present test began. */
export function seenSince(open: () => PlaygroundPage): () => Seen {
  let before: Seen
  const seen = (): Seen => open().playground.upstream.seen
  beforeEach(() => {
    before = { ...seen() }
  })
  return () => {
    const { connections, requests, upgrades } = seen()
    return {
      connections: connections - before.connections,
      requests: requests - before.requests,
      upgrades: upgrades - before.upgrades,
    }
  }
}
