import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect } from 'chai'
import type { Response } from 'express'
import { StreamingClient } from '../support/clients/streaming-client.js'
import { closeServers } from '../support/servers/servers.js'
import { piped, sh } from './piped.js'

describe('pipeChild on text/event-stream', () => {
  afterEach(closeServers)

  const type = 'text/event-stream'

  it('frames each line as an event, and the exit code as the last', async () => {
    const { url } = await piped(() => sh('printf "a\\n\\nb\\r\\nc\\rd"; exit 3'), {}, { type })
    expect(await (await StreamingClient.get(url)).ended()).to.equal(
      'data: a\n\ndata: \n\ndata: b\n\ndata: c\n\ndata: d\n\nevent: exit\ndata: {"code":3,"signal":null}\n\n',
    )
  })

  for (const [what, given, sent] of [
    ['asks caches', undefined, 'no-cache'],
    ['leaves it to the handler to ask caches', 'private', 'private'],
  ] as const) {
    it(`${what} not to store the events`, async () => {
      const before = async (res: Response): Promise<void> => {
        if (given !== undefined) res.set('Cache-Control', given)
      }
      const { url } = await piped(() => spawn('echo', ['event']), {}, { type, before })
      const client = await StreamingClient.get(url)
      expect(client.response.headers).to.have.property('cache-control', sent)
      await client.ended()
    })
  }

  for (const [what, pieces, events] of [
    ['an empty line at first', ['\n', 'a\n'], ['', 'a']],
    ['a line end in two pieces', ['a\r', '\nb\r', '\n'], ['a', 'b']],
    ['an empty line after one', ['a\r', '\n\n'], ['a', '']],
    ['a CR before another line', ['\ra\r', 'b\n', '\n'], ['', 'a', 'b', '']],
  ] as const) {
    it(`splits lines: ${what}`, async () => {
      const { url, child } = await piped(() => spawn('cat'), { exit: 'none' }, { type })
      const client = await StreamingClient.get(url)
      const { stdin, stdout } = await child
      for (const piece of pieces) {
        stdin?.write(piece)
        await once(stdout!, 'data')
      }
      stdin?.end()
      expect(await client.ended()).to.equal(events.map((line) => `data: ${line}\n\n`).join(''))
    })
  }

  it('sends the signal that ended the child', async () => {
    const { url } = await piped(() => sh('kill -9 $$'), {}, { type })
    expect(await (await StreamingClient.get(url)).ended()).to.equal(
      'event: exit\ndata: {"code":null,"signal":"SIGKILL"}\n\n',
    )
  })

  it('names the lines of stderr', async () => {
    const { url } = await piped(() => sh('echo wrong >&2'), { stderr: 'event', exit: 'none' }, { type })
    expect(await (await StreamingClient.get(url)).ended()).to.equal('event: stderr\ndata: wrong\n\n')
  })

  it('never splits a character, a line or a line end that comes in pieces', async () => {
    const { url, child } = await piped(() => spawn('cat'), { exit: 'none' }, { type })
    const client = await StreamingClient.get(url)
    const { stdin, stdout } = await child
    for (const byte of Buffer.from('gr\u00fc\u00dfe \u{1f30a}\r\nand more\nlast')) {
      stdin?.write(Buffer.of(byte))
      await once(stdout!, 'data')
    }
    stdin?.end()
    expect(await client.ended()).to.equal(
      'data: gr\u00fc\u00dfe \u{1f30a}\n\ndata: and more\n\ndata: last\n\n',
    )
  })

  it('gives a line without end out in pieces', async () => {
    const { url } = await piped(
      () => sh('head -c 3000000 /dev/zero | tr "\\0" x'),
      { exit: 'none' },
      { type },
    )
    const text = await (await StreamingClient.get(url)).ended()
    expect(text.replaceAll(/data: |\n/g, '')).to.equal('x'.repeat(3_000_000))
    expect(text.match(/data: /g)).to.have.lengthOf.within(2, 3)
  })

  it('mixes whole lines only', async () => {
    const script = 'read a; printf "out "; read a; echo err >&2; read a; echo put'
    const { url, child } = await piped(() => sh(script), { exit: 'none' }, { type })
    const client = await StreamingClient.get(url)
    const { stdin, stdout } = await child
    const half = once(stdout!, 'data')
    stdin?.write('go\n')
    await half
    stdin?.write('go\n')
    await client.received('err')
    stdin?.write('go\n')
    expect(await client.ended()).to.equal('data: err\n\ndata: out put\n\n')
  })
})
