import { expect } from 'chai'
import { RawClient } from '../support/clients/raw-client.js'
import { type ExpressVersion, expressVersions } from '../support/express/express-versions.js'
import type { Handler } from '../support/express/hosts.js'
import { judged } from '../support/express/judged.js'
import { removeDirectories } from '../support/process/temporary-files.js'
import { attached } from '../support/servers/attached.js'
import { closeServers, serve } from '../support/servers/servers.js'
import type { Asked } from './asked.js'
import { filesToServe } from './files.js'
import { documentedProgram } from './program.js'
import { requests } from './requests.js'
import { withoutMeant } from './unchanged.js'

const END = 'the request after it'
const next = Buffer.from('GET /after HTTP/1.1\r\nHost: a\r\n\r\n')

for (const version of expressVersions) {
  const asked = requests.filter(({ only }) => only === undefined || only === version.name)

  describe(`the documented behaviour of ${version.name}`, () => {
    let folder: string
    let plain: ReadonlyMap<string, string>

    // Pages of errors show the stack, on which the middlewares stand.
    const { stackTraceLimit } = Error
    before(() => void (Error.stackTraceLimit = 1))
    after(() => void (Error.stackTraceLimit = stackTraceLimit))
    before(async () => {
      folder = filesToServe()
      plain = await answersOf(version, folder, { handlers: [], attaches: false }, asked)
      await closeServers()
    })
    afterEach(closeServers)
    after(removeDirectories)

    it('is that of the program without sluiceway', () => {
      const got = asked.map(({ title, status }) => [title, status, plain.get(title)?.slice(9, 12)] as const)
      expect(got.filter(([, status, found]) => `${status}` !== found)).to.deep.equal([])
    })

    for (const [name, under] of Object.entries(judged)) {
      it(`is the same, byte for byte, behind ${name}`, async () => {
        const answers = await answersOf(version, folder, under, asked)
        const differing = [...answers].filter(([title, answer]) => answer !== plain.get(title))
        expect(differing).to.deep.equal(differing.map(([title]) => [title, plain.get(title)]))
      })
    }
  })
}

/** All bytes that came for each request, except those that must differ. */
async function answersOf(
  version: ExpressVersion,
  folder: string,
  { handlers, attaches }: { readonly handlers: readonly Handler[]; readonly attaches: boolean },
  asked: readonly Asked[],
): Promise<ReadonlyMap<string, string>> {
  const program = documentedProgram(version, folder, handlers)
  const { port } = await (attaches ? attached(program) : serve(program))
  const answers = new Map<string, string>()
  for (const { title, bytes, isLast } of asked) {
    const client = await RawClient.connect(port)
    client.write(bytes, ...(isLast ? [] : [next]))
    answers.set(title, withoutMeant(await untilEnd(client)))
    client.destroy()
  }
  return answers
}

/** The answer, and that to the next request, or how the connection was closed. */
async function untilEnd(client: RawClient): Promise<string> {
  try {
    return await client.untilText(END)
  } catch {
    return `${client.pending.toString('latin1')}<closed>`
  }
}
