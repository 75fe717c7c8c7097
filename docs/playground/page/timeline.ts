/** A timeline on the page: its title, the picture, its numbers in words, and every moment as a table. */
import { html } from './elements.js'
import { fromZero, lengthOf, type Lane, type Step, type Story, type ToldStory } from './story.js'
import { drawStory } from './timeline-picture.js'
import { many, timesText } from './words.js'

/** Fills `holder` with the timeline of a story, and again with that of the next. */
export function createTimeline(holder: HTMLElement, lanes: readonly Lane[]): (story: ToldStory) => void {
  let story: Story = { lanes, steps: [], summary: '', spanMs: 1000 }
  const caption = html('figcaption', {}, `Timeline: ${holder.dataset['timeline'] ?? ''}`)
  const picture = html('div', { class: 'picture' })
  const legend = html('ol', { class: 'legend' })
  const rows = html('tbody')
  const count = html('summary')
  const table = html('details', { hidden: true }, count, momentTable(rows))
  holder.append(caption, picture, legend, table)

  const redraw = (): void => {
    const width = Math.max(240, picture.clientWidth)
    const summary = story.summary || 'Timeline: nothing has been sent yet'
    picture.replaceChildren(drawStory({ ...story, summary }, width))
  }
  redrawWhenResized(picture, redraw)

  return (next) => {
    story = fromZero({ lanes, ...next })
    // The clocks agree to about a millisecond: tenths only put what follows closely into its order.
    const digits = lengthOf(story) < 100 ? 1 : 0
    legend.replaceChildren(
      ...story.steps.filter(({ minor }) => !minor).map((step, index) => legendItem(step, index, digits)),
    )
    rows.replaceChildren(...story.steps.map((step) => tableRow(step, story.lanes, digits)))
    count.textContent = `Every moment as a table (${many(story.steps.length, 'row')})`
    table.hidden = story.steps.length === 0
    redraw()
  }
}

/** Text keeps its size in a picture that is drawn at its real width. */
function redrawWhenResized(picture: HTMLElement, redraw: () => void): void {
  let drawnAt = 0
  new ResizeObserver(() => {
    if (picture.clientWidth !== drawnAt) redraw()
    drawnAt = picture.clientWidth
  }).observe(picture)
}

function legendItem({ from, to, text, tone }: Step, index: number, digits: number): HTMLElement {
  return html(
    'li',
    {},
    html('span', { class: `number ${tone}` }, String(index + 1)),
    html('span', { class: 'at' }, timesText(digits, from.at, to?.at)),
    ' ',
    html('span', { class: 'text' }, text),
  )
}

function momentTable(rows: HTMLElement): HTMLElement {
  const columns = ['At', 'Who', 'What'].map((name) => html('th', { scope: 'col' }, name))
  return html('table', {}, html('thead', {}, html('tr', {}, ...columns)), rows)
}

function tableRow({ from, to, text }: Step, lanes: readonly Lane[], digits: number): HTMLElement {
  const nameOf = (id: string): string => {
    const { name = id, note = '' } = lanes.find((lane) => lane.id === id) ?? {}
    return `${name} ${note}`.trim()
  }
  const who = to === undefined ? nameOf(from.lane) : `${nameOf(from.lane)} → ${nameOf(to.lane)}`
  const when = timesText(digits, from.at, to?.at)
  return html('tr', {}, html('td', {}, when), html('td', {}, who), html('td', {}, text))
}
