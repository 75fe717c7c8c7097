import type { RequestListener } from 'node:http'
import { createServer } from 'node:http'
import { expect } from 'chai'
import * as fc from 'fast-check'
import { attach } from 'sluiceway'
import { filesToServe } from '../express/files.js'
import { documentedProgram } from '../express/program.js'
import { requests } from '../express/requests.js'
import { withoutMeant } from '../express/unchanged.js'
import { RawClient } from '../support/clients/raw-client.js'
import { expressVersions } from '../support/express/express-versions.js'
import { judged } from '../support/express/judged.js'
import { removeDirectories } from '../support/process/temporary-files.js'
import { closeServers, listen } from '../support/servers/servers.js'
import { holds } from './property.js'
import { type Cuts, cuts, writeInParts } from './wire.js'

// Express cuts the connection, whether or not the file that was asked for before has been read by then; and Node 24 leaves one open, without an
// answer, if a response is destroyed behind another.
const cutting = ['/errors/after-head', '/stream/cut']
const asked = requests.filter(
  ({ only, title }) => only === undefined && !cutting.some((path) => title.includes(path)),
)
/** Requests after which the connection stays open, by their place in the list. */
const lasting = asked.flatMap(({ isLast }, index) => (isLast ? [] : [index]))

interface Case {
  readonly version: number
  /** What is mounted, in its order; twice is fine. */
  readonly mounted: readonly string[]
  readonly attaches: boolean
  /** Requests of one connection, one behind the other; the last may close it. */
  readonly asked: readonly number[]
  readonly writes: Cuts
}

const cases: fc.Arbitrary<Case> = fc.record({
  version: fc.nat(expressVersions.length - 1),
  mounted: fc.array(fc.constantFrom('maxBytes', 'bodyCache', 'autoFlush', 'passthroughProxy'), {
    maxLength: 6,
  }),
  attaches: fc.boolean(),
  asked: fc
    .tuple(fc.array(fc.constantFrom(...lasting), { maxLength: 6 }), fc.nat(asked.length - 1))
    .map((indexes) => indexes.flat()),
  writes: cuts,
})

const AFTER = Buffer.from('GET /after HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')

/**
 * The answers to these requests as a client reads them, and the remaining bytes. Without the chunks: into how many Node puts an
 * answer depends on whether the one before it has been sent by then.
 */
async function read(client: RawClient, sent: readonly Buffer[]): Promise<string> {
  const answers: string[] = []
  try {
    for (const request of sent) {
      for (let isInterim = true; isInterim;) {
        const { status, head, body, trailers } = await client.response({ head: isHead(request) })
        answers.push(head, body.toString('latin1'), ...trailers)
        isInterim = status < 200
      }
    }
  } catch {
    // Node sends a 103 behind the answer that it announces if others come first. The error would quote the rest, with its dates.
    answers.push('what is left: ')
  }
  return [...answers, client.pending.toString('latin1')].join('')
}

function isHead(request: Buffer): boolean {
  return request.toString('latin1').startsWith('HEAD ')
}

describe('the documented behaviour of Express, fuzzed', () => {
  afterEach(async () => {
    await closeServers()
    removeDirectories()
  })

  it('answers a connection as without the middlewares, whatever their order', async function () {
    this.timeout(0)
    const folder = filesToServe()
    let listener: RequestListener
    const answered = async (one: Case, mounted: readonly string[], attaches: boolean): Promise<string> => {
      const handlers = mounted.flatMap((name) => judged[name]!.handlers)
      listener = documentedProgram(expressVersions[one.version]!, folder, handlers)
      const server = createServer(listener)
      if (attaches) attach(server, listener)
      const { port } = await listen(server)
      const client = await RawClient.connect(port)
      const known = one.asked.map((index) => asked[index]!)
      await writeInParts(client, Buffer.concat(known.map(({ bytes }) => bytes)), one.writes)
      if (known.at(-1)?.isLast === false) client.write(AFTER)
      await client.closed()
      client.destroy()
      await new Promise((resolve) => void server.close(resolve))
      // It is not kept with all the others until the end.
      await closeServers()
      return withoutMeant(await read(client, [...known.map(({ bytes }) => bytes), AFTER]))
    }
    const { stackTraceLimit } = Error
    Error.stackTraceLimit = 1
    const check = async (one: Case): Promise<void> => {
      const plain = await answered(one, [], false)
      expect(await answered(one, one.mounted, one.attaches)).to.equal(plain)
    }
    await holds(fc.asyncProperty(cases, check), { runs: 150, milliseconds: 1500 })
    Error.stackTraceLimit = stackTraceLimit
  })
})
