import { Logger } from '@nestjs/common' // sets globals, which mocha would take for leaks of the recipe
import { expect } from 'chai'
import { RecipeProcess } from '../support/recipes/recipe-process.js'
import { readText } from '../support/repository/repository.js'
import { hasNginx, Nginx } from '../support/servers/nginx.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { until } from '../support/time/until.js'
import { describingUpstream, type Example, nginxBlocks, shellBlocks, Surroundings } from './examples.js'
import { hasTools, Terminal } from './terminal.js'

/** The output that a reader of each recipe may expect of its commands. */
const expectations: Readonly<Record<string, (terminal: Terminal) => Promise<void>>> = {
  'docs-recipes-answer-with-get 1': async (terminal) => {
    expect(await terminal.run()).to.contain('"method":"GET","url":"/search?q=sluice&page=1"')
  },
  'docs-recipes-changed-body 1': async (terminal) => {
    expect(await terminal.run()).to.contain(JSON.stringify('{"id":"7","source":"web"}'))
  },
  'docs-recipes-command-output 1': async (terminal) => {
    expect(await terminal.run()).to.match(/^step 1 of 3\nwarning: step 1 is slow\nstep 2 of 3$/m)
  },
  'docs-recipes-duplex-chunks 1': async (terminal) => {
    const command = terminal.start(terminal.commands)
    for (const line of ['one', 'two']) {
      command.type(line)
      await command.until(line.toUpperCase())
    }
  },
  'docs-recipes-filter-over-http 1': async (terminal) => {
    expect(await terminal.run()).to.equal('1000000\na\nb\nc\n')
  },
  'docs-recipes-echo-body 1': async (terminal) => {
    const printed = await terminal.run()
    expect(printed).to.match(/^hello/)
    const [one, other] = printed.match(/[\da-f]{64}/g) ?? []
    expect(one).to.be.a('string').that.equals(other)
  },
  'docs-recipes-filter-tokens 1': async (terminal) => {
    expect(await terminal.run()).to.contain('"url":"/v1/chat/completions"')
  },
  'docs-recipes-from-body-parser-verify 1': async (terminal) => {
    expect(await terminal.run()).to.contain('{"taken":{"id":"A-1"}}')
  },
  'docs-recipes-keep-alive-copy 1': async (terminal) => {
    const printed = await terminal.run()
    expect(printed).to.match(/Re-using existing connection/i)
    expect(printed).to.contain('"url":"/one"').and.contain('"url":"/two"')
  },
  'docs-recipes-limit-uploads 1': async (terminal) => {
    const statuses = (await terminal.run()).match(/^HTTP\/1.1 (?!100)\d+/gm)
    expect(statuses).to.deep.equal(['HTTP/1.1 201', 'HTTP/1.1 413', 'HTTP/1.1 413'])
  },
  'docs-recipes-llm-gateway 1': async (terminal) => {
    const { info } = console
    console.info = () => {} // the gateway's own log
    const printed = await terminal.run()
    console.info = info
    expect(printed).to.contain('"url":"/v1/chat/completions","authorization":"Bearer none"')
  },
  'docs-recipes-log-bodies 1': async (terminal) => {
    const { info } = console
    const entries: string[] = []
    console.info = (line: string) => void entries.push(line)
    await terminal.run()
    await until(() => entries.length === 3)
    console.info = info
    const [login, image, ticks] = entries
    const body = String.raw`"body":"{\"user\":\"ada\",\"password\":\"***\"}"`
    expect(login)
      .to.contain(body)
      .and.contain(String.raw`\"token\":\"***\"`)
    expect(image).to.contain('"body":"(100000 bytes)"')
    expect(ticks)
      .to.contain('"outcome":"cut"')
      .and.contain(String.raw`data: 3\n`)
  },
  'docs-recipes-metrics-with-prom-client 1': async (terminal) => {
    const printed = await terminal.run()
    expect(printed).to.contain('bodies_refused_total{status="413",code="ERR_SLUICEWAY_BODY_TOO_LARGE"} 1')
    expect(Number(/^body_spilled_bytes_total (\d+)$/m.exec(printed)?.[1])).to.be.within(134_000, 137_000)
  },
  'docs-recipes-nestjs 1': async (terminal) => {
    const [follow = '', ...rest] = terminal.commands
    const following = terminal.start([follow])
    await following.until('following')
    const printed = await terminal.run(rest)
    expect(printed).to.contain('{"taken":"A-1"}').and.contain('"method":"POST","url":"/users"')
    await following.until('A-1')
  },
  'docs-recipes-parse-twice 1': async (terminal) => {
    expect(await terminal.run()).to.contain('{"items":1,"sentAt":"2026-01-02T03:04:05.000Z"}')
  },
  'docs-recipes-server-sent-events 1': async (terminal) => {
    const [listen = '', send = ''] = terminal.commands
    const listening = terminal.start([listen])
    await listening.until('retry: 2000')
    await terminal.run([send])
    await listening.until('data: {"hello":"world"}')
  },
  'docs-recipes-several-processes 1': async (terminal) => {
    const [follow = '', upload = ''] = terminal.commands
    await terminal.start([follow]).until('data: 0')
    expect(await terminal.run([upload])).to.match(/^HTTP\/1.1 413 /m)
  },
  'docs-recipes-stream-lines 1': async (terminal) => {
    const [follow = '', publish = ''] = terminal.commands
    const following = terminal.start([follow])
    await following.until('following')
    await terminal.run([publish])
    await following.until('hello')
  },
  'docs-recipes-tracing-with-opentelemetry 1': async (terminal) => {
    expect(await terminal.run()).to.contain('"url":"/x"')
  },
  'docs-recipes-two-schemas 1': async (terminal) => {
    const printed = await terminal.run()
    expect(printed).to.contain('{"booked":"12.50 EUR"}').and.contain('ERR_SLUICEWAY_BODY_INVALID')
  },
  'docs-recipes-upload-with-progress 1': async (terminal) => {
    expect(await terminal.run()).to.contain('{"message":"larger than 5242880 bytes"}')
  },
  'docs-recipes-webhook-signatures 1': async (terminal) => {
    expect(await terminal.run()).to.contain('{"received":"invoice.paid"}')
  },
  'docs-recipes-without-express 1': async (terminal) => {
    expect(await terminal.run()).to.contain('{"taken":{"id":"A-1"}}')
  },
}

/** The blocks that are not run here, by title, and why. */
const notRun: ReadonlyMap<RegExp, string> = new Map([
  [/^readme 1$/, 'installs from the registry; test/package installs the packed package'],
  [/^docs-start /, 'test/package/first-minutes.test.ts runs them, with the packed package'],
  [/^docs-recipes-deploy-log /, 'deploys; test/recipes runs its steps with programs in place of git and npm'],
  [
    /^docs-recipes-(?:failover|sticky-sessions|route-by-table|canary|mirror|fall-through|circuit-breaker|graceful-shutdown) 1$/,
    'needs upstreams that stop and start; test/recipes has them',
  ],
  [/^docs-recipes-readme [12]$/, 'installs from the registry, and starts an upstream, which the tests have'],
  [
    /^docs-recipes-websocket(?:-behind-auth|s-beside-the-proxy) 1$/,
    'wscat is not installed; test/recipes makes the same handshakes',
  ],
  [
    /^docs-recipes-(?:private-ca-and-mtls|preserve-host-over-https|docker-socket|corporate-proxy) 1$/,
    'needs certificates, a daemon or a proxy of its own; test/recipes has them, and asks for the same',
  ],
  [
    /^docs-recipes-(?:script-in-pages|urls-in-json|watermark-images) 1$/,
    'asks a public server for a page, a document or an image; test/recipes has an upstream that sends one',
  ],
  [/^docs-recipes-test-your-app 1$/, 'installs from the registry; test/recipes runs its tests'],
  [/^docs-benchmarks /, 'benchmarks take minutes'],
])

/** The programs that run behind nginx on their page: their commands are run through it. */
const behindNginx = nginxBlocks().map(({ title }) => title)

/** They subscribe to all of their process. */
const inOwnProcess = ['metrics-with-prom-client', 'tracing-with-opentelemetry']

describe('the commands of README and docs', function () {
  this.timeout(20_000)

  let surroundings: Surroundings
  let upstream: string
  const processes: RecipeProcess[] = []

  before(async function () {
    if (!hasTools()) this.skip()
    const { url, port } = await describingUpstream()
    upstream = url
    surroundings = new Surroundings(port)
    Logger.overrideLogger(false)
  })
  after(() => surroundings?.leave())
  after(() => Promise.all(processes.map((started) => started.end())))
  after(closeServers)

  it('are all run here, or have a reason why not', () => {
    const isRun = ({ title }: Example): boolean => ![...notRun.keys()].some((pattern) => pattern.test(title))
    const run = shellBlocks().filter(isRun)
    expect(run.map(({ title }) => title)).to.have.members(Object.keys(expectations))
    expect(Object.keys(expectations)).to.include.members(behindNginx)
  })

  /** Starts the program of a page, and gives its port. */
  async function startProgram(recipe: string): Promise<number> {
    // Its own test starts its processes.
    if (recipe === 'several-processes') {
      const { app } = await import('../../.recipes/several-processes.js')
      return (await serve(app.set('env', 'test'))).port
    }
    if (inOwnProcess.includes(recipe)) {
      const started = await RecipeProcess.start(recipe, { UPSTREAM: upstream })
      processes.push(started)
      return started.port
    }
    await surroundings.start(recipe, upstream)
    return await surroundings.port()
  }

  async function meetsExpectations({ title, file }: Example, port: number, front: string): Promise<void> {
    const own = `127.0.0.1:${port}`
    const terminal = new Terminal(readText(`.recipes/${file}`), {
      'localhost:3000': own,
      'localhost/': `${front}/`,
    })
    try {
      await expectations[title]?.(terminal)
    } finally {
      terminal.close()
    }
  }

  for (const block of shellBlocks().filter(({ title }) => title in expectations)) {
    const [recipe = ''] = block.title.replace('docs-recipes-', '').split(' ')
    it(`work: ${block.title}`, async () => {
      const port = await startProgram(recipe)
      await meetsExpectations(block, port, `127.0.0.1:${port}`)
    })

    const nginxBlock = nginxBlocks().find(({ title }) => title === block.title)
    if (nginxBlock === undefined) continue
    it(`work behind nginx as the page configures it: ${block.title}`, async function () {
      if (!hasNginx()) this.skip()
      const port = await startProgram(recipe)
      const lines = readText(`.recipes/${nginxBlock.file}`).replace('127.0.0.1:3000', `127.0.0.1:${port}`)
      const nginx = await Nginx.serving(lines)
      try {
        await meetsExpectations(block, Number(new URL(nginx.url).port), new URL(nginx.url).host)
      } finally {
        await nginx.stop()
      }
    })
  }
})
