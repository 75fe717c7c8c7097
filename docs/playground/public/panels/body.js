/** One POST: signed here, checked and parsed twice at the gateway, passed on. Three fingerprints of the same bytes. */
import { bytesText, panel, picture, readJson, svg } from '../page.js'

const secret = 'sesame'
const { find, say, run } = panel('body')
const form = find('form')

const places = ['your browser', 'the gateway', 'the upstream']
let seen = [undefined, undefined, undefined]
const redraw = picture(find('.picture'), drawFingerprints)

form.addEventListener('submit', (event) => {
  event.preventDefault()
  void run(post)
})

async function post() {
  if (!globalThis.crypto?.subtle) {
    throw new Error(
      'this browser signs only on https or localhost pages. Open the playground as http://localhost.',
    )
  }
  clear()
  const signed = new TextEncoder().encode(form.elements.order.value)
  const sent = form.elements.tamper.checked ? changeOneByte(signed) : signed
  show(0, { bytes: sent.length, sha256: await sha256(sent) })
  say('posting …')

  const headers = { 'Content-Type': 'application/json', 'X-Signature': await sign(signed) }
  const response = await fetch('body', { method: 'POST', headers, body: sent })
  const atUpstream = await readJson(response)
  const report = JSON.parse(decodeURIComponent(response.headers.get('Playground-Report')))
  show(1, report)
  show(2, atUpstream)
  for (const shape of ['order', 'audit'])
    shapeHolder(shape).textContent = JSON.stringify(report[shape], null, 2)
  say(verdict())
}

function verdict() {
  const same = seen.every((place) => place.sha256 === seen[0].sha256)
  return same ? 'signature right, parsed twice, and the same bytes in all three places' : 'the bytes differ'
}

function clear() {
  seen = [undefined, undefined, undefined]
  for (const shape of ['order', 'audit']) shapeHolder(shape).textContent = '…'
  redraw()
}

function shapeHolder(shape) {
  return find(`[data-shape="${shape}"]`)
}

function show(place, { bytes, sha256: digest }) {
  seen[place] = { bytes, sha256: digest }
  redraw()
}

/** Another letter in the middle: the JSON may still be right, the bytes are not. */
function changeOneByte(bytes) {
  const changed = bytes.slice()
  const at = Math.floor(changed.length / 2)
  changed[at] = changed[at] === 0x20 ? 0x09 : 0x20
  return changed
}

async function sign(bytes) {
  const algorithm = { name: 'HMAC', hash: 'SHA-256' }
  const key = await crypto.subtle.importKey('raw', new TextEncoder().encode(secret), algorithm, false, [
    'sign',
  ])
  return hex(await crypto.subtle.sign('HMAC', key, bytes))
}

async function sha256(bytes) {
  return hex(await crypto.subtle.digest('SHA-256', bytes))
}

function hex(buffer) {
  return Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** Three boxes, beside one another where there is room, with the digest as a pattern of cells. */
function drawFingerprints(width) {
  const across = width >= 560
  const box = across ? { width: (width - 24 - 2 * 40) / 3, height: 112 } : { width: width - 24, height: 86 }
  const step = across ? box.width + 40 : box.height + 30
  const origin = (index) => (across ? [12 + index * step, 12] : [12, 12 + index * step])
  return {
    height: across ? box.height + 24 : 3 * box.height + 2 * 30 + 24,
    label: fingerprintLabel(),
    shapes: places.flatMap((place, index) => [
      ...drawPlace(place, seen[index], origin(index), box),
      ...(index === 0 ? [] : [drawArrow(origin(index), across, box)]),
    ]),
  }
}

function drawPlace(place, what, [x, y], box) {
  const group = svg('g', { transform: `translate(${x} ${y})` })
  group.append(
    svg('rect', { class: 'box', width: box.width, height: box.height, rx: 8 }),
    svg('text', { class: 'strong', x: 12, y: 22 }, place),
    svg(
      'text',
      { x: 12, y: box.height - 10 },
      what ? `${bytesText(what.bytes)}, sha256 ${what.sha256.slice(0, 8)}…` : '–',
    ),
  )
  if (what) group.append(...drawDigest(what.sha256, box))
  return [group]
}

function drawDigest(digest, box) {
  const perRow = 32
  const cell = (box.width - 24) / perRow
  const rowHeight = (box.height - 66) / 2
  return Array.from(digest, (digit, index) =>
    svg('rect', {
      class: 'accent',
      opacity: 0.12 + (Number.parseInt(digit, 16) / 15) * 0.88,
      x: 12 + (index % perRow) * cell,
      y: 32 + Math.floor(index / perRow) * (rowHeight + 2),
      width: Math.max(1, cell - 1),
      height: rowHeight,
    }),
  )
}

function drawArrow([x, y], across, box) {
  const d = across
    ? `M${x - 33} ${y + box.height / 2}h24m-7 -6l7 6l-7 6`
    : `M${x + box.width / 2} ${y - 25}v18m-6 -7l6 7l6 -7`
  return svg('path', { class: 'accent-line', d })
}

function fingerprintLabel() {
  const parts = places.map((place, index) => `${place}: ${seen[index]?.sha256.slice(0, 8) ?? 'nothing yet'}`)
  return `Fingerprint of the body at ${parts.join(', ')}`
}
