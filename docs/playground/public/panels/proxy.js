/** Four kinds of traffic through the proxy, each drawn as it comes, and what the upstream counted. */
import { bytesText, median, msText, panel, picture, readJson, svg } from '../page.js'

const base = 'proxy/to'
const { find, say, run } = panel('proxy')
const answer = find('[data-answer]')
const caption = find('[data-caption]')

let seen = { requests: 0, connections: 0, upgrades: 0 }
let traffic = { height: 60, label: 'Nothing was sent yet', shapes: () => [] }
const redrawSeen = picture(find('[data-seen]'), drawSeen)
const redrawTraffic = picture(find('[data-traffic]'), (width) => ({
  ...traffic,
  shapes: traffic.shapes(width),
}))

const actions = { get: sendGets, stream: streamUpload, events: followEvents, socket: talkOverSocket }
for (const [name, action] of Object.entries(actions)) {
  find(`[data-action="${name}"]`).addEventListener('click', () => run(() => perform(action)))
}
void run(countSeen)

async function perform(action) {
  answer.hidden = true
  say('…')
  try {
    say(await action())
  } finally {
    await countSeen()
  }
}

async function countSeen() {
  seen = await readJson(await fetch('proxy/seen'))
  redrawSeen()
}

function draw(text, label, height, shapes) {
  caption.textContent = text
  traffic = { label, height, shapes }
  redrawTraffic()
}

function showAnswer(value) {
  answer.textContent = JSON.stringify(value, null, 2)
  answer.hidden = false
}

/* Ten GETs, one after the other: the time of each as a bar. */
async function sendGets() {
  const times = []
  let body
  for (let request = 1; request <= 10; request++) {
    const startedAt = performance.now()
    body = await readJson(await fetch(`${base}/hello`))
    times.push(performance.now() - startedAt)
    draw(
      'Each bar is one GET: how long its answer took, in ms.',
      `${request} GETs were answered`,
      90,
      (width) => bars(times, width),
    )
  }
  showAnswer(body)
  return `10 answers, ${msText(median(times))} each (median)`
}

function bars(times, width) {
  const step = (width - 24) / 10
  const tallest = Math.max(...times)
  return times.flatMap((time, index) => {
    const height = Math.max(2, (time / tallest) * 48)
    const middle = 12 + (index + 0.5) * step
    return [
      svg('rect', {
        class: 'accent',
        x: middle - step * 0.35,
        y: 66 - height,
        width: step * 0.7,
        height,
        rx: 2,
      }),
      svg('text', { x: middle, y: 82, 'text-anchor': 'middle' }, time.toFixed(0)),
    ]
  })
}

/* An upload: the upstream tells when each piece arrived. */
async function streamUpload() {
  const body = new Blob([new Uint8Array(24 * 1024 * 1024)])
  const digest = await readJson(await fetch(`${base}/digest`, { method: 'POST', body }))
  const { bytes, pieces, arrivals } = digest
  const lastMs = Math.max(1, arrivals.at(-1)[0])
  const label = `${bytesText(bytes)} reached the upstream in ${pieces} pieces over ${lastMs} ms`
  draw(
    'Bytes at the upstream, as they came: a slope is a stream, a single step would be a buffer.',
    label,
    130,
    (width) => slope(arrivals, bytes, lastMs, width),
  )
  return label
}

function slope(arrivals, bytes, lastMs, width) {
  const points = arrivals.map(
    ([ms, sum]) => `${12 + (ms / lastMs) * (width - 24)},${102 - (sum / bytes) * 84}`,
  )
  return [
    svg('line', { class: 'axis', x1: 12, x2: width - 12, y1: 102, y2: 102 }),
    svg('polyline', { class: 'accent-line', points: `12,102 ${points.join(' ')}` }),
    svg('text', { x: 12, y: 120 }, '0 ms'),
    svg('text', { x: width - 12, y: 120, 'text-anchor': 'end' }, `${lastMs} ms`),
    svg('text', { x: 12, y: 18 }, bytesText(bytes)),
  ]
}

/* Server-sent events: one dot each, when it came. */
function followEvents() {
  const startedAt = performance.now()
  const arrivals = []
  const events = new EventSource(`${base}/events`)
  const show = () =>
    draw(
      'Each dot is one event, at the time it came.',
      `${arrivals.length} events came one by one`,
      84,
      (width) => dots(arrivals, width, 2000),
    )
  show()
  return new Promise((resolve, reject) => {
    events.addEventListener('message', () => {
      arrivals.push(performance.now() - startedAt)
      show()
    })
    events.addEventListener('done', () => {
      events.close()
      resolve(`${arrivals.length} events, the first after ${msText(arrivals[0])}`)
    })
    events.addEventListener('error', () => {
      events.close()
      reject(new Error(`the event stream broke after ${arrivals.length} events`))
    })
  })
}

function dots(times, width, expectedMs) {
  const end = Math.max(expectedMs, ...times)
  const x = (ms) => 16 + (ms / end) * (width - 32)
  return [
    svg('line', { class: 'axis', x1: 12, x2: width - 12, y1: 34, y2: 34 }),
    ...times.map((ms) => svg('circle', { class: 'good', cx: x(ms), cy: 34, r: 6 })),
    svg('text', { x: 12, y: 66 }, '0 s'),
    svg('text', { x: width - 12, y: 66, 'text-anchor': 'end' }, `${(end / 1000).toFixed(1)} s`),
  ]
}

/* A WebSocket: eight messages, each sent when the last one's echo is back. */
async function talkOverSocket() {
  const url = new URL(`${base}/socket`, location.href)
  url.protocol = url.protocol.replace('http', 'ws')
  const socket = new WebSocket(url)
  const times = []
  try {
    await nextEvent(socket, 'open')
    for (let message = 1; message <= 8; message++) {
      const startedAt = performance.now()
      socket.send(`message ${message}`)
      const { data } = await nextEvent(socket, 'message')
      if (data !== `message ${message}`) throw new Error(`got "${data}" back for message ${message}`)
      times.push(performance.now() - startedAt)
      drawEchoes(times)
    }
  } finally {
    socket.close()
  }
  return `8 messages echoed, ${msText(median(times))} there and back (median)`
}

function drawEchoes(times) {
  draw(
    'Each arc is one message to the upstream and its echo, in ms.',
    `${times.length} messages came back`,
    84,
    (width) => {
      const step = (width - 24) / 8
      return times.flatMap((ms, index) => {
        const x = 12 + index * step
        return [
          svg('path', {
            class: 'accent-line',
            d: `M${x + step * 0.15} 52q${step * 0.35} -56 ${step * 0.7} 0`,
          }),
          svg('text', { x: x + step / 2, y: 72, 'text-anchor': 'middle' }, ms.toFixed(1)),
        ]
      })
    },
  )
}

function nextEvent(socket, name) {
  return new Promise((resolve, reject) => {
    const fail = () => reject(new Error('the WebSocket closed before its answer came'))
    setTimeout(() => reject(new Error('the WebSocket gave no answer within 5 seconds')), 5000)
    socket.addEventListener(name, resolve, { once: true })
    socket.addEventListener('close', fail, { once: true })
    socket.addEventListener('error', fail, { once: true })
  })
}

/* What the upstream counted: a mark for each. */
function drawSeen(width) {
  const rows = [
    ['requests', seen.requests, 'accent'],
    ['connections', seen.connections, 'good'],
    ['WebSockets', seen.upgrades, 'late'],
  ]
  return {
    height: 96,
    label: `The upstream has seen ${rows.map(([name, count]) => `${count} ${name}`).join(', ')}`,
    shapes: rows.flatMap(([name, count, kind], row) => drawCount(name, count, kind, row * 26 + 26, width)),
  }
}

function drawCount(name, count, kind, y, width) {
  const room = Math.floor((width - 160) / 9)
  const marks = Array.from({ length: Math.min(count, room) }, (_, index) =>
    svg('rect', { class: kind, x: 146 + index * 9, y: y - 11, width: 6, height: 13, rx: 2 }),
  )
  return [
    svg('text', { x: 12, y }, name),
    svg('text', { class: 'strong', x: 132, y, 'text-anchor': 'end', 'data-count': name }, String(count)),
    ...marks,
  ]
}
