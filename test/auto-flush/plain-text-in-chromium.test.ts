import { spawn } from 'node:child_process'
import type { Server } from 'node:http'
import { expect } from 'chai'
import compression from 'compression'
import express, { type Express, type RequestHandler } from 'express'
import type { BrowserContext, Page } from 'playwright-core'
import { autoFlush, pipeChild } from 'sluiceway'
import { requireChromium } from '../support/clients/chromium.js'
import { expressVersions } from '../support/express/express-versions.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'

const mounts: Record<string, () => RequestHandler[]> = {
  alone: () => [autoFlush()],
  'before compression': () => [autoFlush(), compression()],
  'after compression': () => [compression(), autoFlush()],
}

/** How a person, or a script of a page, looks at '/stream'; each resolves once the text has been seen. */
const ways: Record<string, (page: Page, url: string, text: string) => Promise<unknown>> = {
  'a tab': async (page, url, text) => {
    await page.goto(`${url}/stream`, { waitUntil: 'commit' })
    await shows(page, text)
  },
  'a frame': async (page, url, text) => {
    await page.goto(`${url}/page`)
    await page.evaluate(`document.body.innerHTML = '<iframe src="/stream"></iframe>'`)
    await page.waitForFunction(`frames[0]?.document.body?.innerText.includes(${JSON.stringify(text)})`)
  },
  XMLHttpRequest: async (page, url, text) => {
    await page.goto(`${url}/page`)
    await page.evaluate(`
      const request = new XMLHttpRequest()
      request.open('GET', '/stream')
      request.onprogress = () => (document.body.textContent = request.responseText)
      request.send()`)
    await shows(page, text)
  },
  fetch: async (page, url, text) => {
    await page.goto(`${url}/page`)
    await page.evaluate(`
      fetch('/stream').then(async ({ body }) => {
        for await (const piece of body.pipeThrough(new TextDecoderStream())) document.body.append(piece)
      }), undefined`)
    await shows(page, text)
  },
}

async function shows(page: Page, text: string): Promise<void> {
  await page.waitForFunction(`document.body?.innerText.includes(${JSON.stringify(text)})`)
}

/** An app with a page to look from, and the middlewares in front of what is served at '/stream'. */
function site(
  app: Express,
  mounted: RequestHandler[],
  handler: RequestHandler,
): Promise<{ url: string; server: Server }> {
  app.get('/page', (_req, res) => void res.send('<!doctype html><body></body>'))
  app.get('/stream', ...mounted, handler)
  return serve(app)
}

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

  describe('shows the first line of plain text in Chromium before the second is written', () => {
    for (const { name, express: create } of expressVersions) {
      for (const [mount, mounted] of Object.entries(mounts)) {
        for (const [way, look] of Object.entries(ways)) {
          it(`${way}, mounted ${mount} (${name})`, async () => {
            const seen = deferred()
            const { url } = await site(create(), mounted(), async (_req, res) => {
              res.type('text/plain').write('line 1\n')
              await seen.promise
              res.end('line 2\n')
            })
            await look(page, url, 'line 1')
            seen.resolve()
            await page.waitForLoadState()
          })
        }
      }
    }

    for (const [by, mounted] of Object.entries({
      'by itself': [],
      'behind autoFlush': mounts['after compression']!(),
    })) {
      for (const [way, look] of Object.entries(ways)) {
        it(`${way}, of a command whose output pipeChild sends ${by}`, async () => {
          const child = spawn('sh', ['-c', 'echo line 1; read -r _; echo line 2'], { detached: true })
          const { url } = await site(express(), mounted, async (_req, res) => {
            await pipeChild(res, child)
          })
          await look(page, url, 'line 1')
          child.stdin.end('go on\n')
          await page.waitForLoadState()
        })
      }
    }
  })

  describe('leaves alone in Chromium', () => {
    it('HTML without a type, which the browser recognizes', async () => {
      const { url } = await site(express(), [autoFlush()], (_req, res) => {
        res.write('<!doctype html><h1>a page</h1>')
        res.end()
      })
      await page.goto(`${url}/stream`)
      expect(await page.evaluate(`document.querySelector('h1').textContent`)).to.equal('a page')
    })

    for (const [what, element] of Object.entries({
      'a script': `Object.assign(document.createElement('script'), { src: '/stream' })`,
      'an image of another origin': `Object.assign(new Image(), { src: location.origin.replace('127.0.0.1', 'localhost') + '/stream' })`,
    })) {
      it(`${what} that is served as plain text`, async () => {
        const { url } = await site(express(), [autoFlush()], (_req, res) => {
          res.type('text/plain').write(what === 'a script' ? 'window.ran = true' : PIXEL)
          res.end()
        })
        await page.goto(`${url}/page`)
        const loaded = await page.evaluate(`new Promise((resolve) => {
          const element = ${element}
          element.onload = () => resolve(${JSON.stringify(what)} !== 'a script' || window.ran)
          element.onerror = () => resolve('blocked')
          document.body.append(element)
        })`)
        expect(loaded).to.equal(true)
      })
    }
  })
})

const PIXEL = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
)
