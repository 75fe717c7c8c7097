import { expect } from 'chai'
import { autoFlush, bodyCache, maxBytes, passthroughProxy } from 'sluiceway'
import { RawClient } from '../support/clients/raw-client.js'
import { type Handler, hosts } from '../support/express/hosts.js'
import { allClosedIn, emptyDirectory, removeDirectories } from '../support/process/temporary-files.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { isThorough } from '../support/thorough.js'
import { code, destroying, faulty, type Program } from './misbehaving-programs.js'

type Chain = (directory: string) => Handler[]

const chains: Record<string, Chain> = {
  maxBytes: () => [maxBytes('1mb')],
  bodyCache: (directory) => [bodyCache({ directory, memory: 0 })],
  autoFlush: () => [autoFlush()],
  'all three': (directory) => [maxBytes('1mb'), bodyCache({ directory, memory: 0 }), autoFlush()],
}

/** The chains whose readers may give up without harm to the answer. */
const keeps = (what: string): boolean => what === 'bodyCache' || what === 'all three'

/** The events that a program saw, and the result for its client: an answer, or the end of the connection. */
interface Outcome {
  readonly client: string
  readonly noted: readonly string[]
}

for (const { name, mount } of hosts) {
  describe(`a handler that misbehaves (${name})`, () => {
    let directory: string

    beforeEach(() => {
      directory = emptyDirectory()
    })
    // Not after each: a file may be on its way to being opened, and unlinked, still.
    after(removeDirectories)
    afterEach(async () => {
      await closeServers()
      await allClosedIn(directory)
    })

    async function outcome(program: Program, chain: readonly Handler[], whole: boolean): Promise<Outcome> {
      const noted: string[] = []
      const note = (what: string): void => void noted.push(what)
      // What is written after the end; else it would end the process.
      const listen: Handler = (_req, res, next) => {
        res.on('error', (error) => note(code(error)))
        next()
      }
      const { port } = await serve(mount(listen, ...program(chain, note)))
      const client = await RawClient.connect(port)
      client.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n${whole ? 'the body' : 'the '}`)
      const got = await client.response().then(
        ({ status, body }) => `${status} ${body.toString()}`,
        (error: Error) => error.message.replace(/ended|failed \(\w+\)/, 'is over'),
      )
      // Whoever reads on after the answer is done by then.
      if (whole) await new Promise(setImmediate)
      client.destroy()
      return { client: got, noted }
    }

    for (const [what, chain] of Object.entries(chains)) {
      for (const [fault, program] of Object.entries(faulty)) {
        it(`${fault}: has the same outcome as without ${what}`, async () => {
          const expected = await outcome(program, [], true)
          expect(expected.client).to.match(/^200 first/)
          expect(await outcome(program, chain(directory), true)).to.deep.equal(expected)
        })
      }

      if (!isThorough && !keeps(what)) continue
      for (const [moment, programOf] of Object.entries(destroying)) {
        for (const error of [undefined, new Error('destroyed by the app')]) {
          for (const whole of [true, false]) {
            const body = whole ? 'its body' : 'a part of its body'
            it(`destroys a request of which it has ${body} ${moment}${error ? ', with an error' : ''}: ends as without ${what}`, async () => {
              const program = programOf(error)
              if (!whole && moment === 'when all is read') return
              const expected = await outcome(program, [], whole)
              const found = await outcome(program, chain(directory), whole)
              expect(found.client).to.equal(expected.client)
            })
          }
        }
      }
    }

    it('destroys a proxied request: reads nothing more from the upstream', async () => {
      const upstream = await serve((_req, res) => void res.write('begun'))
      const proxy = passthroughProxy(upstream.url)
      for (const moment of ['before', 'at once', 'in the answer']) {
        let destroy = (): void => {}
        const { port } = await serve(
          mount((req, res, next) => {
            destroy = () => void req.destroy()
            if (moment === 'before') req.destroy()
            proxy(req, res, next)
            if (moment === 'at once') req.destroy()
          }),
        )
        const client = await RawClient.connect(port)
        client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nthe ')
        if (moment === 'in the answer') {
          await client.untilText('begun')
          destroy()
        }
        await client.closed()
      }
    })
  })
}
