import { expect } from 'chai'
import type { Locator } from 'playwright-core'
import { describeInChromium, type PanelName, type TableTimes } from './playground-page.js'

describeInChromium('playground timelines', (open) => {
  const lanes: readonly (readonly [PanelName, string | undefined, string[]])[] = [
    ['deploy', 'Deploy', ['browser', 'install', 'test', 'publish']],
    ['upload', undefined, ['browser', 'server', 'browser']],
    ['body', undefined, ['browser', 'sluiceway', 'upstream']],
    ['proxy', 'Ask ten times', ['browser', 'A', 'B']],
    ['socket', undefined, ['browser', 'sluiceway', 'upstream']],
    ['duplex', undefined, ['client', 'sluiceway', 'upstream']],
  ]
  for (const [name, button, names] of lanes) {
    it(`shows the picture of ${name} in words and as a table too`, async () => {
      const opened = open()
      await opened.run(name, button)
      const figure = opened.panel(name).locator('[data-timeline]')
      expect(await figure.locator('svg .name').allTextContents()).to.deep.equal(names)
      const steps = await figure.locator('svg .step').count()
      expect(steps).to.be.above(4)
      const numbers = await figure.locator('svg .number text').allTextContents()
      expect(numbers.map(Number).toSorted((a, b) => a - b)).to.deep.equal(
        numbers.map((_, index) => index + 1),
      )
      expect(await figure.locator('.legend li').count()).to.equal(numbers.length)
      expect(await figure.getByRole('img').getAttribute('aria-label')).to.match(/\d/)
      await figure.locator('summary').click()
      expect(await figure.locator('tbody tr').count()).to.equal(steps)
      expectOrder(await opened.tableTimes(name))
      const legend = await figure.locator('.legend .at').allTextContents()
      const cells = await figure.locator('tbody td:first-child').allTextContents()
      expect(cells).to.include.members(legend)
      expect(
        legend.filter((time) => /^[\d.,]+ → [\d.,]+ ms$/.test(time)),
        'times of arrows',
      ).not.to.deep.equal([])
    })
  }

  it('draws the arrow of an event at the times in the table', async () => {
    const opened = open()
    await opened.run('proxy', 'Ask once')
    const figure = opened.panel('proxy').locator('[data-timeline]')
    const ways = await figure
      .locator('svg .way')
      .evaluateAll((lines: { getAttribute(name: string): string }[]) =>
        lines.map((line) => [Number(line.getAttribute('x1')), Number(line.getAttribute('x2'))]),
      )
    const times = await opened.tableTimes('proxy')
    expect(ways).to.have.length(times.length)
    const [from, to] = [Number(ways[0]?.[0]), Number(ways.at(-1)?.[1])]
    const whole = Number(times.at(-1)?.to)
    for (const [index, way] of ways.entries()) {
      for (const [end, x] of way.entries()) {
        const drawn = ((x - from) / (to - from)) * whole
        expect(drawn, `arrow ${index}`).to.be.closeTo(
          Number(end === 0 ? times[index]?.from : times[index]?.to),
          0.02 * whole + 1.5,
        )
      }
    }
  })

  it('is drawn again for another width, with text of the same size', async () => {
    const opened = open()
    await opened.run('duplex')
    const svg = opened.panel('duplex').locator('[data-timeline] svg')
    for (const width of [320, 1280]) {
      await opened.page.setViewportSize({ width, height: 800 })
      const drawn = opened.panel('duplex').locator(`svg[viewBox^="0 0 ${await widthOf(svg)} "]`)
      await drawn.waitFor()
    }
  })
})

function widthOf(svg: Locator): Promise<number> {
  return svg.evaluate((node: { parentElement: { clientWidth: number } }) => node.parentElement.clientWidth)
}

/** Rows are in the order of time, and nothing arrives before it was sent. */
function expectOrder(rows: readonly TableTimes[]): void {
  expect(rows[0]?.from).to.equal(0)
  for (const [index, { from, to }] of rows.entries()) {
    expect(from).to.be.at.least(rows[index - 1]?.from ?? 0)
    expect(to).to.be.at.least(from)
  }
}
