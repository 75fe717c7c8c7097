// What all of them change, and into what.
export const FROM = 'http://upstream.example'
export const TO = 'https://public.example'
export const SIZE = 50 * 1024 * 1024

const paragraph = `<p>${'Lorem ipsum dolor sit amet, consetetur sadipscing elitr. '.repeat(17)}<a href="${FROM}/page">next</a></p>\n`

/** A page of 50 MB with a URL in each kilobyte, of which no two are alike. */
export function page() {
  const parts = []
  for (let length = 0; length < SIZE; length += parts.at(-1).length) {
    parts.push(paragraph.replace('next', `${parts.length} ${Math.sqrt(parts.length).toString(36)}`))
  }
  return Buffer.from(parts.join(''))
}

export const changed = (text) => text.replaceAll(FROM, TO)
