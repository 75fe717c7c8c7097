/** The command's lines on two routes: when each was printed, and when it arrived. */
import { median, msText, panel, picture, svg } from '../page.js'

/** The picture's time span, before lines ask for more, and where its two rows are. */
const expectedMs = 2600
const top = 30
const bottom = 112

const { find, say, run } = panel('lines')
const lanes = ['flushed', 'held'].map(createLane)

find('[data-run]').addEventListener('click', () => run(runBoth))
document.querySelector('[data-origin]').textContent = location.origin

async function runBoth() {
  say('running: a line each 200 ms …')
  for (const lane of lanes) lane.clear()
  const clockAhead = await measureClock()
  await Promise.all(lanes.map((lane) => follow(lane, clockAhead)))
  const [flushed, held] = lanes.map((lane) => median(lane.lines.map((line) => line.late)))
  say(`done: a line came ${msText(flushed)} late with autoFlush, ${msText(held)} late without (median)`)
}

/** How far the server's clock is ahead of this one, in ms. */
async function measureClock() {
  const asked = Date.now()
  const { now } = await (await fetch('lines/clock')).json()
  return now - (asked + Date.now()) / 2
}

async function follow(lane, clockAhead) {
  const response = await fetch(`lines/${lane.name}`)
  if (!response.ok) throw new Error(`${response.status} ${response.statusText} from the ${lane.name} route`)
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  for (;;) {
    const { value, done } = await reader.read()
    if (done) return
    const arrivedAt = Date.now()
    const lines = (rest + value).split('\n')
    rest = lines.pop()
    for (const line of lines) lane.add(line, arrivedAt, clockAhead)
  }
}

function createLane(name) {
  const holder = find(`[data-lane="${name}"] .picture`)
  const list = find(`[data-lane="${name}"] .terminal`)
  const summary = find(`[data-lane="${name}"] [data-summary]`)
  const lane = { name, lines: [], clear, add }
  const redraw = picture(holder, (width) => drawTimeline(lane.lines, width))

  function clear() {
    lane.lines = []
    list.replaceChildren()
    summary.textContent = ''
    redraw()
  }

  function add(line, arrivedAt, clockAhead) {
    const space = line.indexOf(' ')
    const printedAt = Number(line.slice(0, space)) - clockAhead
    lane.lines.push({ printedAt, arrivedAt, late: Math.max(0, arrivedAt - printedAt) })
    const late = Object.assign(document.createElement('span'), {
      textContent: msText(lane.lines.at(-1).late),
    })
    const item = document.createElement('li')
    item.append(line.slice(space + 1), late)
    list.append(item)
    list.scrollTop = list.scrollHeight
    summary.textContent = `${lane.lines.length} lines, median ${msText(median(lane.lines.map((each) => each.late)))} late`
    redraw()
  }
  return lane
}

function drawTimeline(lines, width) {
  const start = lines[0]?.printedAt ?? 0
  const end = Math.max(expectedMs, ...lines.map((line) => line.arrivedAt - start + 100))
  const x = (time) => 14 + ((time - start) / end) * (width - 28)
  return {
    height: 142,
    label: timelineLabel(lines),
    shapes: [
      svg('text', { x: 8, y: 16 }, 'printed by the command'),
      svg('text', { x: 8, y: bottom + 22 }, 'arrived in the browser'),
      svg('line', { class: 'axis', x1: 8, x2: width - 8, y1: top, y2: top }),
      svg('line', { class: 'axis', x1: 8, x2: width - 8, y1: bottom, y2: bottom }),
      svg('text', { x: width - 8, y: 16, 'text-anchor': 'end' }, `${(end / 1000).toFixed(1)} s`),
      ...lines.flatMap((line) => drawLine(line, x)),
    ],
  }
}

function drawLine({ printedAt, arrivedAt, late }, x) {
  const kind = late < 100 ? 'good' : 'late'
  const [from, to] = [x(printedAt), x(arrivedAt)]
  return [
    svg('line', { class: `${kind}-line`, x1: from, y1: top, x2: to, y2: bottom }),
    svg('circle', { class: 'printed', cx: from, cy: top, r: 4 }),
    svg('circle', { class: kind, cx: to, cy: bottom, r: 5 }),
  ]
}

function timelineLabel(lines) {
  if (lines.length === 0) return 'No line has come yet'
  const late = lines.filter((line) => line.late >= 100).length
  return `${lines.length} lines arrived, ${late} of them more than 100 ms after they were printed`
}
