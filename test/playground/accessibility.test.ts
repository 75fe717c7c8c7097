import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { expect } from 'chai'
import { describeInChromium, panels, type PlaygroundPage } from './playground-page.js'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const widths = [320, 768, 1280]

describeInChromium('playground for everybody', (open) => {
  describe('with all results shown', () => {
    beforeEach(async () => {
      if ((await open().page.locator('#duplex .legend li').count()) === 0) await runAll(open())
    })

    for (const colorScheme of ['light', 'dark'] as const) {
      it(`has no violation according to axe in ${colorScheme} colours`, async () => {
        const opened = open()
        // With motion, colours fade into one another for a moment, and axe would measure that.
        await opened.page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
        await opened.page.evaluate(axe)
        for (const width of colorScheme === 'light' ? [320, 1280] : [1280]) {
          await opened.page.setViewportSize({ width, height: 800 })
          expect(await violations(opened), `${width} px`).to.deep.equal([])
        }
      })
    }

    for (const width of widths) {
      it(`fits ${width} px without sideways scrolling`, async () => {
        const opened = open()
        await opened.page.setViewportSize({ width, height: 800 })
        expect(await opened.page.locator('.legend li').count()).to.be.above(20)
        expect(await opened.page.evaluate('document.documentElement.scrollWidth')).to.equal(width)
        expect(await opened.page.evaluate(outside), 'beyond the edge').to.deep.equal([])
      })
    }
  })

  it('shows a panel on one screen of a phone, and its subject on the smallest', async () => {
    const opened = open()
    await opened.page.setViewportSize({ width: 390, height: 844 })
    for (const name of panels) {
      await opened.run(name)
      const [panel, picture] = await Promise.all(
        ['', ' .picture'].map((part) => opened.page.locator(`#${name}${part}`).boundingBox()),
      )
      expect(panel?.height, name).to.be.below(900)
      const shown = Number(picture?.y) + Number(picture?.height) - Number(panel?.y)
      expect(shown, `${name} up to its picture`).to.be.below(664)
    }
  })

  it('changes its colours with the colour scheme', async () => {
    const { page } = open()
    const ground = 'getComputedStyle(document.body).backgroundColor'
    await page.emulateMedia({ colorScheme: 'light' })
    const light = await page.evaluate(ground)
    await page.emulateMedia({ colorScheme: 'dark' })
    expect(await page.evaluate(ground)).not.to.equal(light)
  })

  it('moves nothing if the user prefers reduced motion', async () => {
    const { page } = open()
    const motion = `[getComputedStyle(document.documentElement).scrollBehavior,
      getComputedStyle(document.querySelector('button')).transitionDuration]`
    await page.emulateMedia({ reducedMotion: 'reduce' })
    expect(await page.evaluate(motion)).to.deep.equal(['auto', '0s'])
    await page.emulateMedia({ reducedMotion: 'no-preference' })
    expect(await page.evaluate(motion)).to.deep.equal(['smooth', '0.15s, 0.15s, 0.15s'])
  })

  describe('by keyboard alone', () => {
    before(() => open.close())
    afterEach(() => open.close())

    it('skips to the panels, runs one with Enter, and stops it with Escape', async () => {
      const opened = open()
      const { keyboard } = opened.page
      await keyboard.press('Tab')
      expect(await focused(opened)).to.include({ text: 'Skip to the panels', visible: true })
      await keyboard.press('Enter')
      await keyboard.press('Tab')
      expect(await focused(opened)).to.include({ text: 'Follow both routes' })
      await keyboard.press('Enter')
      await opened.page.locator('#events[aria-busy=true]').waitFor()
      await keyboard.press('Escape')
      await opened.idle('events')
      expect(await opened.status('events')).to.equal('Stopped.')
      expect(await focused(opened)).to.include({ text: 'Follow both routes' })
    })

    it('stops with the Stop button too, and gives the focus back', async () => {
      const opened = open()
      await opened.start('events')
      await opened.page.keyboard.press('Tab')
      expect(await focused(opened)).to.include({ text: 'Stop' })
      await opened.page.keyboard.press('Enter')
      await opened.idle('events')
      expect(await opened.status('events')).to.equal('Stopped.')
      expect(await focused(opened)).to.include({ text: 'Follow both routes' })
    })

    it('reaches everything in the order of the page, and shows the focus', async () => {
      const opened = open()
      await opened.page.evaluate('document.documentElement.style.scrollBehavior = "auto"')
      await opened.unfold()
      const reachable = Number(await opened.page.evaluate(controls))
      expect(reachable).to.be.above(60)
      let top = -Infinity
      for (let count = 0; count < reachable; count++) {
        await opened.page.keyboard.press('Tab')
        const { text, visible, order } = await focused(opened)
        expect(visible, `outline of ${text}`).to.equal(true)
        expect(order, text).to.be.above(top)
        top = order
      }
    })
  })
})

/** Runs every panel at once; one of them shows a refusal. */
async function runAll(opened: PlaygroundPage): Promise<void> {
  await opened.panel('socket').getByLabel('I am logged in').uncheck()
  for (const name of panels) await opened.start(name)
  for (const name of panels) await opened.idle(name)
  await opened.unfold()
  expect(await opened.problem('socket')).to.include({ code: '401 · NOT_LOGGED_IN' })
}

async function violations({ page }: PlaygroundPage): Promise<string[]> {
  const found = await page.evaluate(`axe.run().then(({ violations }) => violations.map(
    ({ id, nodes }) => id + ': ' + nodes.map(({ html, failureSummary }) => html + ' ' + failureSummary).join('; ')))`)
  return found as string[]
}

/** Elements that overflow to the right, except inside elements that scroll or hide them. */
const outside = `[...document.querySelectorAll('body *')]
  .filter((node) => !node.closest('pre, svg, .unseen, .skip') && node.getBoundingClientRect().right > innerWidth + 0.5)
  .map((node) => node.outerHTML.slice(0, 80))`

/** The number of elements that the Tab key reaches. */
const controls = `[...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"]')]
  .filter((node) => node.checkVisibility()).length`

interface Focused {
  readonly text: string
  /** Whether it is on the screen, with an outline of at least 2 px. */
  readonly visible: boolean
  /** Its place in the page. */
  readonly order: number
}

async function focused({ page }: PlaygroundPage): Promise<Focused> {
  const answer = await page.evaluate(`(() => {
    const node = document.activeElement
    const { top, bottom, left } = node.getBoundingClientRect()
    const { outlineStyle, outlineWidth } = getComputedStyle(node)
    const onScreen = bottom > 0 && top < innerHeight && left >= 0
    return {
      text: node.innerText || node.name || node.tagName,
      visible: onScreen && outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2,
      order: [...document.querySelectorAll('*')].indexOf(node),
    }
  })()`)
  return answer as Focused
}
