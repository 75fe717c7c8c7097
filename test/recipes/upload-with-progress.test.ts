import { expect } from 'chai'
import { app } from '../../.recipes/upload-with-progress.js'
import { findChromium, noChromium, openChromium } from '../support/clients/chromium.js'
import { closeServers, serve } from '../support/servers/servers.js'

const megabyte = 1024 * 1024

describe('recipe: upload files, with a limit and progress', () => {
  let url: string

  beforeEach(async () => {
    ;({ url } = await serve(app))
  })
  afterEach(closeServers)

  async function send(size: number): Promise<[status: number, message: string]> {
    const form = new FormData()
    form.append('file', new Blob([Buffer.alloc(size)]), 'zeros.bin')
    const response = await fetch(`${url}/files`, { method: 'POST', body: form })
    return [response.status, ((await response.json()) as { message: string }).message]
  }

  it('accepts a file below the limit, and refuses one above it', async () => {
    expect(await send(megabyte)).to.deep.equal([201, 'zeros.bin: 1048576 bytes arrived'])
    expect(await send(9 * megabyte)).to.deep.equal([413, 'larger than 5242880 bytes'])
  })

  it('answers 400 to a form without a file', async () => {
    const form = new FormData()
    form.append('other', 'x')
    expect((await fetch(`${url}/files`, { method: 'POST', body: form })).status).to.equal(400)
  })

  it("answers an error of multer's own as JSON: two files", async () => {
    const form = new FormData()
    for (const name of ['a.bin', 'b.bin']) form.append('file', new Blob([Buffer.alloc(100_000)]), name)
    const response = await fetch(`${url}/files`, { method: 'POST', body: form })
    expect(response.status).to.equal(400)
    expect(await response.json()).to.deep.equal({ message: 'Unexpected file field' })
  })

  it('shows the progress and the reason for a refusal in Chromium', async function () {
    this.timeout(60_000)
    const browser = findChromium()
    if (browser === undefined) {
      console.log(`      skipped: ${noChromium}`)
      this.skip()
    }
    const { context, close } = await openChromium(browser)
    try {
      const page = await context.newPage()
      await page.goto(url)
      for (const [size, told] of [
        [megabyte, 'file.bin: 1048576 bytes arrived'],
        [9 * megabyte, 'larger than 5242880 bytes'],
      ] as const) {
        const file = { name: 'file.bin', mimeType: 'application/octet-stream', buffer: Buffer.alloc(size) }
        await page.setInputFiles('input', file)
        await page.click('button')
        await page.getByText(told).waitFor()
        if (size === megabyte) expect(await page.locator('progress').getAttribute('value')).to.equal('1')
      }
      await page.route('**/files', (route) => route.fulfill({ status: 502, body: '<h1>Bad Gateway</h1>' }))
      await page.click('button')
      await page.getByText('error 502').waitFor()
    } finally {
      await close()
    }
  })
})
