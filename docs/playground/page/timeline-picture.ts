/** The picture of a timeline: a row for each lane, time to the right, an arrow for whatever went from one to another. */
import { svg } from './elements.js'
import type { Bar, Lane, Step, Story } from './story.js'
import { lengthOf } from './story.js'
import { type Frame, frameFor, spread, ticks } from './timeline-layout.js'
import { roundText } from './words.js'

interface Scale {
  readonly frame: Frame
  readonly x: (at: number) => number
  readonly y: (lane: string) => number
}

/** Draws a story whose times begin at zero. */
export function drawStory(story: Story, width: number): SVGElement {
  const frame = frameFor(width, story.lanes.length)
  const spanMs = lengthOf(story)
  const scale: Scale = {
    frame,
    x: (at) => frame.left + (at / spanMs) * (frame.right - frame.left),
    y: (lane) => frame.laneY(story.lanes.findIndex(({ id }) => id === lane)),
  }
  return svg(
    'svg',
    { viewBox: `0 0 ${width} ${frame.height}`, role: 'img', 'aria-label': story.summary },
    ...drawAxis(spanMs, scale),
    ...story.lanes.flatMap((lane) => drawLane(lane, scale)),
    ...(story.bars ?? []).map((bar) => drawBar(bar, scale)),
    ...story.steps.map((step) => drawStep(step, scale)),
    ...story.lanes.flatMap((lane, index) => drawNumbers(story, lane.id, scale, index)),
  )
}

function drawAxis(spanMs: number, { frame, x }: Scale): SVGElement[] {
  return ticks(spanMs, frame.width < 560 ? 3 : 8).flatMap((at) => [
    svg('line', { class: 'tick', x1: x(at), x2: x(at), y1: 12, y2: frame.axisY }),
    svg(
      'text',
      { class: 'time', x: x(at), y: frame.axisY + 16, 'text-anchor': anchorAt(x(at), frame) },
      roundText(at),
    ),
  ])
}

function anchorAt(x: number, { right }: Frame): string {
  return x > right - 20 ? 'end' : 'middle'
}

function drawLane({ id, name, note }: Lane, { frame, y }: Scale): SVGElement[] {
  const at = y(id)
  return [
    svg('line', { class: 'lane', x1: frame.left, x2: frame.right, y1: at, y2: at }),
    svg('text', { class: 'name', x: 10, y: note === undefined ? at + 4 : at - 3 }, name),
    ...(note === undefined ? [] : [svg('text', { x: 10, y: at + 12 }, note)]),
  ]
}

function drawBar({ lane, from, to, tone }: Bar, { x, y }: Scale): SVGElement {
  const width = Math.max(2, x(to) - x(from))
  return svg('rect', { class: `bar ${tone}`, x: x(from), y: y(lane) - 4, width, height: 8, rx: 2 })
}

function drawStep({ from, to, tone, minor }: Step, { x, y }: Scale): SVGElement {
  const [x1, y1] = [x(from.at), y(from.lane)]
  const dot = svg('circle', { class: 'dot', cx: x1, cy: y1, r: minor ? 3 : 4 })
  if (to === undefined) return svg('g', { class: `step ${tone}` }, dot)
  const [x2, y2] = [x(to.at), y(to.lane)]
  const line = svg('line', { class: 'way', x1, y1, x2, y2 })
  return svg('g', { class: `step ${tone}` }, line, dot, drawHead([x1, y1], [x2, y2], minor ? 6 : 8))
}

/** The head of an arrow from one place to another. */
function drawHead([x1, y1]: readonly number[], [x2, y2]: readonly number[], size: number): SVGElement {
  const angle = Math.atan2(Number(y2) - Number(y1), Number(x2) - Number(x1))
  const corner = (turn: number): string =>
    `${Number(x2) - size * Math.cos(angle + turn)},${Number(y2) - size * Math.sin(angle + turn)}`
  return svg('polygon', { class: 'head', points: `${x2},${y2} ${corner(0.42)} ${corner(-0.42)}` })
}

/** The numbers of one lane's steps, moved apart where they would cover one another. */
function drawNumbers(story: Story, lane: string, { frame, x, y }: Scale, index: number): SVGElement[] {
  const numbered = story.steps
    .filter(({ minor }) => !minor)
    .map((step, at) => ({ step, number: at + 1 }))
    .filter(({ step }) => step.from.lane === lane)
  const below = index > 0 && index === story.lanes.length - 1
  const numberY = y(lane) + (below ? 18 : -18)
  const places = numbered.map(({ step }) => x(step.from.at))
  const moved = spread(places, 19, [frame.left, frame.right])
  return numbered.map(({ step, number }, at) => {
    const cx = moved[at] as number
    return svg(
      'g',
      { class: `number ${step.tone}` },
      svg('line', { class: 'leader', x1: places[at], y1: y(lane), x2: cx, y2: numberY }),
      svg('circle', { cx, cy: numberY, r: 9 }),
      svg('text', { x: cx, y: numberY + 4, 'text-anchor': 'middle' }, String(number)),
    )
  })
}
