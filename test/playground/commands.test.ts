import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createInterface } from 'node:readline'
import { expect } from 'chai'
import type { Locator } from 'playwright-core'
import { now } from '../../docs/playground/traces.js'
import { describeInChromium, type PlaygroundPage } from './playground-page.js'

interface Line {
  readonly text: string
  readonly at: number
}

interface Output {
  readonly text: string
  readonly lines: readonly Line[]
  readonly code: number | null
}

/** The output of each command of the page, as in a terminal. */
const outcomes: Readonly<Record<string, (output: Output, opened: PlaygroundPage) => void | Promise<void>>> = {
  'events-flushed'({ lines }) {
    expect(eventLines(lines)).to.have.length(8)
    expect(eventLines(lines)[0]?.at).to.be.below(lastWritten(lines))
    expect(clockTimes(lines)).to.have.property('size').above(1)
  },
  'events-held'({ lines }) {
    expect(eventLines(lines)).to.have.length(8)
    expect(eventLines(lines)[0]?.at).to.be.above(lastWritten(lines))
  },
  'command-run'({ lines, code }) {
    expect(lines.map(({ text }) => text))
      .to.have.length(15)
      .and.to.include('[14/14] link: done')
    expect(Number(lines.at(-1)?.at) - Number(lines[0]?.at)).to.be.above(300)
    expect(code).to.equal(0)
  },
  'command-leave'({ text }) {
    expect(text).to.match(/^(?:\[1\/14\] [^]*)?\{"running":\d\}$/)
    expect(text).not.to.include('link: done')
  },
  deploy({ lines }) {
    const texts = lines.map(({ text }) => text)
    expect(texts.filter((text) => text.startsWith('event: step'))).to.have.length(3)
    expect(texts).to.include('data: limits: 41 passed').and.include('data: deployed')
  },
  'deploy-broken'({ text }) {
    expect(text).to.equal('not deployed\n')
  },
  'upload-length'({ text }) {
    expect(text).to.match(/^HTTP\/1\.1 413 Payload Too Large\r\n/)
    expect(text).not.to.include('100 Continue')
    expect(answerOf(text)).to.include({ code: 'ERR_SLUICEWAY_BODY_TOO_LARGE', limit: 1048576 })
  },
  'upload-chunked'({ text }) {
    expect(text).to.match(/^HTTP\/1\.1 413 /)
    expect(text).to.match(/^Connection: close\r$/m)
    expect(answerOf(text)).to.include({ code: 'ERR_SLUICEWAY_BODY_TOO_LARGE', limit: 1048576 })
  },
  async body({ text }, opened) {
    const posted = await opened.panel('body').locator('textarea').inputValue()
    const sha256 = createHash('sha256').update(posted).digest('hex')
    expect(JSON.parse(text)).to.include({ sha256, bytes: posted.length })
  },
  'proxy-twice'({ text }) {
    const [first, second] = text
      .split('}{')
      .map((part, index) => JSON.parse(index === 0 ? `${part}}` : `{${part}`))
    expect(second.connection).to.equal(first.connection)
    expect(second.requestOnConnection).to.equal(first.requestOnConnection + 1)
  },
  'proxy-hop'({ text }) {
    expect(JSON.parse(text).headers).to.include({ 'x-open': 'for B' }).and.not.to.have.property('x-secret')
  },
  changed({ text }) {
    expect(text).not.to.match(/^Content-Encoding:/im)
    expect(text).not.to.contain('1111')
    expect(text.match(/ 100[1-6]"/g)).to.have.length(6)
  },
  'socket-stranger'({ text, code }) {
    expect(text).to.match(/^HTTP\/1\.1 401 /)
    expect(answerOf(text)).to.include({ code: 'NOT_LOGGED_IN' })
    expect(code).to.equal(0)
  },
  'socket-friend'({ text }) {
    expect(text).to.match(/^HTTP\/1\.1 101 Switching Protocols\r\n/)
    expect(text).to.match(/^Sec-WebSocket-Accept: /im)
  },
  duplex({ lines }) {
    expect(lines.map(({ text }) => text)).to.deep.equal(['ONE', 'TWO'])
    const [one, two] = lines.map(({ at }) => at)
    expect(Number(two) - Number(one)).to.be.above(300)
  },
}

describeInChromium('playground commands', (open) => {
  before(async function () {
    if (await isInstalled('curl')) return
    console.log('    skipped: there is no curl')
    this.skip()
  })

  it('do in a shell as their titles say', async function () {
    this.timeout(40_000)
    const opened = open()
    const texts = await commandTexts(opened)
    expect(Object.keys(texts).toSorted()).to.deep.equal(Object.keys(outcomes).toSorted())
    const { 'events-flushed': flushed = '', 'proxy-twice': twice = '', duplex = '', ...others } = texts
    const outputs = {
      // Alone: its second program may start only when the events are over.
      'events-flushed': await runInShell(flushed),
      // Alone: beside other requests, the second may find another connection free.
      'proxy-twice': await runInShell(twice),
      // Alone: beside a dozen other programs, curl may start only when both lines are there.
      duplex: await runInShell(duplex),
      ...(await runTogether(others)),
    }
    for (const [name, output] of Object.entries(outputs)) {
      try {
        await outcomes[name]?.(output, opened)
      } catch (cause) {
        throw new Error(`${name} printed ${JSON.stringify(output.text)}: ${String(cause)}`, { cause })
      }
    }
    // Nothing runs on once its reader has left: the command of the terminal said 0 or 1, as that is a matter of moments.
    const { url } = opened.playground.listening
    expect(await (await fetch(`${url}/command/running`)).json()).to.deep.equal({ running: 0 })
  })

  it('carries the signature of the text in the field, quotes included', async () => {
    const opened = open()
    const order = `{"id":"it's","items":[{"sku":"a","quantity":1,"price":1}],"sentAt":"2026-01-01","customer":{"name":"A","country":"GB"}}`
    await opened.panel('body').locator('textarea').fill(order)
    const command = opened.panel('body').locator('[data-command] code')
    await command.filter({ hasText: "it'\\''s" }).waitFor({ state: 'attached' })
    const { text } = await runInShell(await textOf(command))
    expect(JSON.parse(text)).to.include({ sha256: createHash('sha256').update(order).digest('hex') })
  })

  it('are copied by their buttons, which confirm it', async () => {
    const opened = open()
    await opened.unfold('proxy')
    const command = opened.page.locator('[data-command=proxy-hop]')
    await command.getByRole('button', { name: 'Copy the command: a header for this hop only' }).click()
    await command.getByRole('button', { name: 'Copied the command' }).waitFor()
    expect(await command.getByRole('status').textContent()).to.equal('The command is copied')
    const copied = await opened.page.evaluate('navigator.clipboard.readText()')
    expect(copied).to.equal(await command.locator('code').textContent())
  })

  it('are selected if there is no clipboard, and the button says how to continue', async () => {
    const opened = open()
    await opened.page.evaluate(
      'navigator.clipboard.writeText = () => Promise.reject(new Error("not allowed"))',
    )
    await opened.unfold('command')
    const command = opened.page.locator('[data-command=command-run]')
    await command.getByRole('button').click()
    await command.getByRole('button', { name: 'Press Ctrl+C the command' }).waitFor()
    expect(await opened.page.evaluate('String(getSelection())')).to.equal(
      await textOf(command.locator('code')),
    )
  })
})

async function commandTexts({ page }: PlaygroundPage): Promise<Record<string, string>> {
  await page.locator('[data-command=body] code', { hasText: 'X-Signature' }).waitFor({ state: 'attached' })
  const texts: Record<string, string> = {}
  for (const command of await page.locator('[data-command]').all()) {
    texts[String(await command.getAttribute('data-command'))] = await textOf(command.locator('code'))
  }
  return texts
}

async function textOf(element: Locator): Promise<string> {
  return (await element.textContent()) ?? ''
}

async function runTogether(texts: Readonly<Record<string, string>>): Promise<Record<string, Output>> {
  const outputs: Record<string, Output> = {}
  const waiting = Object.entries(texts)
  const run = async (): Promise<void> => {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      outputs[next[0]] = await runInShell(next[1])
    }
  }
  // A few at a time: the start of a dozen programs takes a busy machine seconds.
  await Promise.all([run(), run(), run(), run()])
  return outputs
}

/** Runs a command unchanged, and returns each line with its time. */
async function runInShell(command: string): Promise<Output> {
  const child = spawn('sh', ['-c', command], { stdio: ['ignore', 'pipe', 'ignore'], timeout: 15_000 })
  const lines: Line[] = []
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
  })
  createInterface({ input: child.stdout }).on('line', (line) => lines.push({ text: line, at: now() }))
  const code = await new Promise<number | null>((resolve) => {
    child.once('close', resolve)
  })
  return { text, lines, code }
}

async function isInstalled(program: string): Promise<boolean> {
  return (await runInShell(`command -v ${program}`)).code === 0
}

/** The times that the command itself prints, which tell events apart that are 100 ms apart. */
function clockTimes(lines: readonly Line[]): Set<string | undefined> {
  return new Set(eventLines(lines).map(({ text }) => /^\d\d:\d\d:\d\d\.\d{3} /.exec(text)?.[0]))
}

function eventLines(lines: readonly Line[]): Line[] {
  return lines.filter(({ text }) => text.includes(' data: '))
}

/** The time at which the server wrote the last event, by the clock that it shares with this process. */
function lastWritten(lines: readonly Line[]): number {
  const [, data = ''] = eventLines(lines).at(-1)?.text.split(' data: ') ?? []
  return (JSON.parse(data) as { writtenAt: number }).writtenAt
}

function answerOf(text: string): object {
  return JSON.parse(text.slice(text.lastIndexOf('\r\n\r\n') + 4))
}
