/** An upload, how much of it left, and the answer that came. XMLHttpRequest, as fetch tells nothing of progress. */
import { bytesText, msText, panel, picture, svg } from '../page.js'

const limit = 1024 * 1024
const { find, say, run } = panel('upload')
const form = find('form')
const meter = find('progress')
const facts = find('.facts')

let upload = { size: Number(form.elements.size.value), sent: 0 }
const redraw = picture(find('.picture'), drawUpload)

form.addEventListener('submit', (event) => {
  event.preventDefault()
  void run(() => tryUpload(Number(form.elements.size.value)))
})
form.elements.size.addEventListener('change', () => show({ size: Number(form.elements.size.value), sent: 0 }))

async function tryUpload(size) {
  facts.replaceChildren()
  show({ size, sent: 0 })
  say('uploading …')
  const answer = await send(size, (sent) => show({ size, sent }))
  show({ size, ...answer })
  const next = await send(1024)
  report(answer, next)
}

function show(state) {
  upload = state
  meter.max = state.size
  meter.value = state.sent
  redraw()
}

/** Posts `size` bytes. Resolves with any answer; rejects when none came. */
function send(size, onProgress = () => {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    const startedAt = performance.now()
    let sent = 0
    request.upload.addEventListener('progress', (event) => {
      sent = event.loaded
      onProgress(sent)
    })
    request.addEventListener('load', () => {
      const { status, statusText, responseText } = request
      resolve({ status, statusText, sent, afterMs: performance.now() - startedAt, body: parse(responseText) })
    })
    request.addEventListener('error', () =>
      reject(new Error(`the connection broke after ${bytesText(sent)} and no answer came`)),
    )
    request.open('POST', 'upload')
    request.send(new Blob([new Uint8Array(size)]))
  })
}

function parse(text) {
  try {
    return JSON.parse(text)
  } catch {
    return { error: text.slice(0, 200) }
  }
}

function report({ status, statusText, sent, afterMs, body }, next) {
  const line = `${status} ${statusText}`
  say(status === 413 ? `${line}: ${body.error}` : line)
  showFacts({
    'The answer': line,
    'It came after': msText(afterMs),
    'Left the browser by then': bytesText(sent),
    ...(status === 413 && {
      'The server decided after': `${msText(body.afterMs)}, at ${bytesText(body.received)}`,
    }),
    'The next request': `${next.status} ${next.statusText} in ${msText(next.afterMs)}`,
  })
}

function showFacts(entries) {
  const items = Object.entries(entries).map(([term, value]) => {
    const item = document.createElement('div')
    item.append(
      Object.assign(document.createElement('dt'), { textContent: term }),
      Object.assign(document.createElement('dd'), { textContent: value }),
    )
    return item
  })
  facts.replaceChildren(...items)
}

function drawUpload(width) {
  const { size, sent, status } = upload
  const scale = Math.max(size, limit * 1.25)
  const x = (bytes) => 12 + (bytes / scale) * (width - 24)
  const refused = status === 413
  return {
    height: 104,
    label: uploadLabel(),
    shapes: [
      svg('rect', { class: 'empty', x: x(0), y: 42, width: x(size) - x(0), height: 26, rx: 5 }),
      svg('rect', {
        class: refused ? 'late' : 'good',
        x: x(0),
        y: 42,
        width: x(sent) - x(0),
        height: 26,
        rx: 5,
      }),
      svg('line', { class: 'bad-line', x1: x(limit), x2: x(limit), y1: 26, y2: 76 }),
      svg('text', { class: 'strong', ...anchor(x(limit), width), y: 18 }, 'limit 1 MB'),
      svg('text', { x: 12, y: 94 }, uploadText()),
      ...(status
        ? [svg('text', { class: 'strong', x: width - 12, y: 94, 'text-anchor': 'end' }, String(status))]
        : []),
    ],
  }
}

/** Keeps a label at `x` inside the picture. */
function anchor(x, width) {
  if (x < 60) return { x: 12, 'text-anchor': 'start' }
  if (x > width - 60) return { x: width - 12, 'text-anchor': 'end' }
  return { x, 'text-anchor': 'middle' }
}

function uploadText() {
  const { size, sent, status, body } = upload
  const letIn = status ? `, ${bytesText(body.received ?? 0)} let in` : ''
  return `${bytesText(sent)} of ${bytesText(size)} left the browser${letIn}`
}

function uploadLabel() {
  const { status } = upload
  const answer = status ? `; the answer is ${status}` : ''
  return `${uploadText()}; the limit is 1 MB${answer}`
}
