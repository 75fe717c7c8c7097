import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect } from 'chai'
import { RawClient } from '../support/clients/raw-client.js'
import { StreamingClient } from '../support/clients/streaming-client.js'
import { closed } from '../support/process/open-resources.js'
import { closeServers } from '../support/servers/servers.js'
import { turns } from '../support/time/turns.js'
import { until } from '../support/time/until.js'
import { waitFor } from '../support/time/waiting.js'
import { allGone, membersOf, piped, type Piped, type PipedResponse, sh } from './piped.js'

/** When a client leaves: what the child does, and what is waited for before the client goes. */
interface Moment extends PipedResponse {
  readonly script: string
  readonly client?: 'reads' | 'does not read'
  readonly arrives: (client: RawClient, child: ChildProcess) => Promise<unknown>
}

const headArrived = (client: RawClient): Promise<unknown> => client.untilText('\r\n\r\n')

const moments: Record<string, Moment> = {
  'as soon as the child has started': { script: 'sleep 60 & wait', arrives: () => Promise.resolve() },
  'before the child has said anything': { script: 'sleep 60 & wait', arrives: headArrived },
  'between two lines': {
    script: 'sleep 60 & echo one; wait',
    arrives: (client) => client.untilText('one\n'),
  },
  'in the middle of a torrent': { script: 'yes & yes', arrives: (client) => client.untilText('y\ny\n') },
  'while the child waits for it to read': {
    script: 'yes & yes',
    client: 'does not read',
    arrives: (_client, { stdout }) => paused(stdout!),
  },
  'in the middle of an event': {
    script: 'printf half; sleep 60 & wait',
    type: 'text/event-stream',
    arrives: (_client, { stdout }) => once(stdout!, 'data'),
  },
  'after the child has closed its output': {
    script: 'echo last; exec >&- 2>&-; sleep 60 & wait',
    arrives: (client, { stdout }) => Promise.all([client.untilText('last\n'), once(stdout!, 'end')]),
  },
  'after the child has died and left its command behind': {
    script: 'sleep 60 & echo $!; exit',
    arrives: (_client, child) => once(child, 'exit'),
  },
}

describe('pipeChild', () => {
  // oxlint-disable-next-line typescript/unbound-method
  const { kill } = process
  const signals: [pid: number, signal: unknown][] = []
  /** Tells whether the group that a child leads was told to end. */
  const signalled = ({ pid }: ChildProcess): boolean =>
    signals.some(([target, signal]) => target === -pid! && signal === 'SIGTERM')

  beforeEach(() => {
    signals.length = 0
    process.kill = (pid, signal) => {
      signals.push([pid, signal])
      return kill.call(process, pid, signal)
    }
  })
  afterEach(() => {
    process.kill = kill
  })
  afterEach(closeServers)

  describe('when the client leaves', () => {
    for (const [moment, { script, client: reading, arrives, ...response }] of Object.entries(moments)) {
      it(`${moment}: signals the whole process group as soon as that is known, which ends it`, async () => {
        const server = await piped(() => sh(script), {}, response)
        const client = await RawClient.connect(server.port)
        if (reading === 'does not read') client.socket.pause()
        client.request('GET', '/')
        const child = await server.child
        await arrives(client, child)
        const [connection] = server.connections
        expect(signalled(child), 'signalled while the client was there').to.equal(false)
        const leaving = waitFor('the server to hear of it', closed(connection!))
        client.destroy()
        await leaving
        // Known from the event of the connection: no timer may come between, however busy the machine is.
        await turns(3)
        expect(signalled(child), 'signalled').to.equal(true)
        await allGone(child.pid!)
        await server.exit
      })
    }

    it('before the child is started: ends it at once', async () => {
      const before = (res: { destroyed: boolean }): Promise<unknown> =>
        once(res as unknown as NodeJS.EventEmitter, 'close')
      const { port, child, exit } = await piped(() => sh('sleep 60 & wait'), {}, { before })
      const client = await RawClient.connect(port)
      client.request('GET', '/')
      client.destroy()
      expect(await exit).to.deep.equal({ code: null, signal: 'SIGTERM' })
      await allGone((await child).pid!)
    })

    it('while it has not read the output of a dead child: still settles', async () => {
      const server = await piped(() => sh('exec yes'), {})
      const client = await RawClient.connect(server.port)
      client.socket.pause()
      client.request('GET', '/')
      const child = await server.child
      await paused(child.stdout!)
      process.kill(child.pid!, 'SIGKILL')
      await once(child, 'exit')
      client.destroy()
      expect(await server.exit).to.deep.equal({ code: null, signal: 'SIGKILL' })
    })

    it('sends the signal of the option', async () => {
      const { port, child, exit } = await piped(() => sh('exec sleep 62'), { killSignal: 'SIGINT' })
      const client = await RawClient.connect(port)
      client.request('GET', '/')
      await child
      client.destroy()
      expect(await exit).to.deep.equal({ code: null, signal: 'SIGINT' })
    })

    it('kills a child that ignores SIGTERM, after forceKillAfterMs', async () => {
      const stubborn = 'trap "" TERM; echo ready; while :; do sleep 0.05; done'
      const server = await piped(() => sh(stubborn), { forceKillAfterMs: 150 })
      const left = await leaveAfter('ready\n', server)
      expect(await server.exit).to.deep.equal({ code: null, signal: 'SIGKILL' })
      expect(performance.now() - left).to.be.within(140, 4500)
      await allGone((await server.child).pid!)
    })

    it('kills a grandchild that ignores SIGTERM and has closed the output', async () => {
      const script = '(trap "" TERM; echo ready; exec >/dev/null 2>&1; while :; do sleep 0.05; done) & wait'
      const server = await piped(() => sh(script), { forceKillAfterMs: 150 })
      await leaveAfter('ready\n', server)
      const { pid } = await server.child
      expect(await server.exit).to.deep.equal({ code: null, signal: 'SIGTERM' })
      expect(membersOf(pid!)).not.to.deep.equal([])
      await allGone(pid!)
    })

    it('ends a child that leads no group', async () => {
      const { url, exit } = await piped(() => spawn('sleep', ['63']), {})
      const client = await StreamingClient.get(url)
      client.leave()
      expect(await exit).to.deep.equal({ code: null, signal: 'SIGTERM' })
    })
  })
})

async function leaveAfter(text: string, { port }: Piped): Promise<number> {
  const client = await RawClient.connect(port)
  client.request('GET', '/')
  await client.untilText(text)
  client.destroy()
  return performance.now()
}

async function paused(output: NodeJS.ReadableStream): Promise<void> {
  await until(() => output.isPaused())
}
