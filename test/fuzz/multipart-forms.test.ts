import { expect } from 'chai'
import * as fc from 'fast-check'
import { bodyCache } from 'sluiceway/body-cache'
import { type Handler, hosts } from '../support/express/hosts.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { holds } from './property.js'

/** The pieces of names, texts and files: everything that has a meaning somewhere in a form. */
const pieces = ['a', 'ü', '😀', '"', '\\', '\r\n', '%', '%22', ';', '=', ' ', '--', '\r\n--', '\0']
const text = fc.array(fc.constantFrom(...pieces), { maxLength: 8 }).map((parts) => parts.join(''))
/** Browsers escape quotes and line ends in names, but send `%22` as it is. */
const name = text.map((given) => given.replaceAll('\0', '').replaceAll('%22', ''))
/** undici omits an empty file name, and so turns the file into a field. */
const filename = name.map((given) => given || 'x')
const entry = fc.oneof(
  fc.record({ name, value: text }),
  fc.record({ name, value: text, filename, type: fc.constantFrom('', 'image/png', 'text/plain') }),
)
type Entry = { name: string; value: string; filename?: string; type?: string }

const describeEntries = (form: FormData): Promise<unknown[]> =>
  Promise.all(
    [...form].map(async ([key, value]) =>
      typeof value === 'string' ? [key, value] : [key, value.name, value.type, await value.text()],
    ),
  )

function formOf(entries: readonly Entry[]): FormData {
  const form = new FormData()
  for (const { name: key, value, filename: file, type = '' } of entries) {
    if (file === undefined) form.append(key, value)
    else form.append(key, new Blob([value], { type }), file)
  }
  return form
}

/** A form as it arrives: line ends in names and texts, and the type of a file without one, change on the way. */
function sent(entries: readonly Entry[]): unknown[] {
  return entries.map(({ name: key, value, filename: file, type }) =>
    file === undefined ? [key, value] : [key, file, type || 'application/octet-stream', value],
  )
}

describe('formData(), fuzzed', () => {
  afterEach(closeServers)

  it('returns the form that fetch sends, whatever its names, texts and files contain', async function () {
    this.timeout(0)
    const answer: Handler = (req, res, next) => {
      req.bodyCache
        .formData()
        .then(describeEntries)
        .then((entries) => res.end(JSON.stringify(entries)), next)
    }
    const { url } = await serve(hosts[0]!.mount(bodyCache(), answer))
    const check = async (entries: readonly Entry[]): Promise<void> => {
      const response = await fetch(url, { method: 'POST', body: formOf(entries) })
      expect(await response.json()).to.deep.equal(sent(entries))
    }
    await holds(fc.asyncProperty(fc.array(entry, { minLength: 1, maxLength: 5 }), check), {
      runs: 300,
      milliseconds: 500,
    })
  })
})
