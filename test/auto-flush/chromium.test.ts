import { EventEmitter, once } from 'node:events'
import { expect } from 'chai'
import compression from 'compression'
import express, { type Express } from 'express'
import type { BrowserContext, Page } from 'playwright-core'
import { autoFlush, passthroughProxy } from 'sluiceway'
import { requireChromium } from '../support/clients/chromium.js'
import { closeServers, serve } from '../support/servers/servers.js'

const EVENTS = 8

/** The ways in which a page shows a stream: each event becomes an item of a list. */
const scripts = {
  EventSource: `
    const events = new EventSource('/events')
    events.onmessage = ({ data }) => show(data)
    events.addEventListener('end', () => events.close())`,
  'fetch streaming': `
    const { body } = await fetch('/events')
    let text = ''
    for await (const piece of body.pipeThrough(new TextDecoderStream())) {
      text += piece
      for (let end; (end = text.indexOf('\\n\\n')) !== -1; text = text.slice(end + 2)) {
        const [, data] = /^data: (.*)/.exec(text.slice(0, end)) ?? []
        if (data) show(data)
      }
    }`,
}

/** Reports an event to the server once the frame that shows it has been painted. */
const show = `
  async function show(data) {
    list.append(Object.assign(document.createElement('li'), { textContent: data }))
    await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)))
    await fetch('/painted', { method: 'POST', headers: { 'Content-Type': 'text/plain' }, body: list.innerText })
  }`

describe('autoFlush', function () {
  this.timeout(60_000)

  let context: BrowserContext
  let closeBrowser: (() => Promise<void>) | undefined
  let page: Page

  before(async function () {
    ;({ context, close: closeBrowser } = await requireChromium(this))
  })
  after(() => closeBrowser?.())

  beforeEach(async () => {
    page = await context.newPage()
  })
  afterEach(async () => {
    await page.close()
    await closeServers()
  })

  describe('in Chromium', () => {
    for (const [way, script] of Object.entries(scripts)) {
      it(`lets each event be painted before the next is sent: ${way}`, async () => {
        const { url, shown } = await site(express().use(autoFlush(), compression()), script)
        await page.goto(url)
        expect(await shown).to.deep.equal(inTurn())
      })

      it(`does so through passthroughProxy, with compression at both ends: ${way}`, async () => {
        const upstream = await site(express().use(compression(), autoFlush()), script)
        const gateway = express().use(autoFlush(), compression(), passthroughProxy(upstream.url))
        await page.goto((await serve(gateway)).url)
        expect(await upstream.shown).to.deep.equal(inTurn())
      })
    }
  })
})

/** Serves a page with `script`; `shown` is what it showed after each event. */
async function site(app: Express, script: string): Promise<{ url: string; shown: Promise<string[]> }> {
  const painted = new EventEmitter()
  app.get('/', (_req, res) => {
    res.send(`<!doctype html><ul id="list"></ul><script type="module">${show}${script}</script>`)
  })
  app.post('/painted', express.text(), (req, res) => {
    painted.emit('list', req.body)
    res.status(204).end()
  })
  const shown = new Promise<string[]>((resolve) => {
    app.get('/events', async (_req, res) => {
      res.type('text/event-stream')
      const lists: string[] = []
      for (let n = 0; n < EVENTS; n++) {
        res.write(`data: ${n}\n\n`)
        lists.push(...((await once(painted, 'list')) as [string]))
      }
      res.end('event: end\ndata: .\n\n')
      resolve(lists)
    })
  })
  const { url } = await serve(app)
  return { url, shown }
}

/** 0, then 0 and 1, then 0 to 2, … */
function inTurn(): string[] {
  return Array.from({ length: EVENTS }, (_, last) =>
    Array.from({ length: last + 1 }, (_item, n) => n).join('\n'),
  )
}
