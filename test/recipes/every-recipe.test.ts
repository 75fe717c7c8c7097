import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import { type IncomingMessage, request } from 'node:http'
import { promisify } from 'node:util'
import { expect } from 'chai'
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express'
import { bodyCache } from 'sluiceway/body-cache'
import 'zod' // sets globals, which mocha would take for leaks of the recipes
import '../support/recipes/example-secrets.js'
import { namesIn, readText, root } from '../support/repository/repository.js'
import { closeServers, serve } from '../support/servers/servers.js'

const run = promisify(execFile)
/** What a recipe exports; `connected` is that of connect. */
interface Recipe {
  readonly app: Express
  readonly connected?: { readonly stack: readonly object[] }
}

const programs = namesIn('.recipes/').filter((name) => /^(?!example-).*\.ts$/.test(name))

describe('every recipe', () => {
  for (const name of programs) {
    const program = readText(`.recipes/${name}`)
    it(`prints a line when it listens: ${name}`, () => {
      // Nest prints its own.
      const starts = program
        .split('\n')
        .filter((line) => /(?:app|server|gateway)\.listen\(\d/.test(line) && !/createApp\(\)/.test(line))
      for (const line of starts) expect(line).to.match(/console\.log\(/)
    })

    it(`gives the errors of its async handlers to next, for Express 4: ${name}`, () => {
      const handlers = program.match(/async (?:function \w+)?\(_?req(?:: \w+)?, _?res.*?\)/g) ?? []
      if (name === 'without-express.ts') return
      for (const handler of handlers) expect(handler).to.match(/, next\)$/)
      const caught = program.match(/next\(error\)|, next\)\n|catch\(next\)/g) ?? []
      expect(caught.length).to.be.at.least(handlers.length)
    })

    it(`has no default for a secret: ${name}`, () => {
      expect(program).to.not.match(/process\.env\['\w*(?:SECRET|KEY|TOKEN|PASSWORD)'\] \?\?/)
    })
  }
})

describe('a recipe with an async handler, on Express 4', () => {
  afterEach(closeServers)

  for (const [recipe, path] of [
    ['parse-twice', '/orders'],
    ['two-schemas', '/events/payments'],
    ['from-body-parser-verify', '/orders'],
    ['webhook-signatures', '/slack'],
    ['limit-uploads', '/files'],
    ['several-processes', '/size'],
  ] as const) {
    it(`answers a body that is too large: ${recipe}`, async () => {
      const { app } = await onExpress4(recipe)
      const { url } = await serve(app.set('env', 'test'))
      expect(await statusOf(url + path)).to.equal(413)
    })
  }

  it('answers a body that its schema refuses: two-schemas', async () => {
    const { app } = await onExpress4('two-schemas')
    const { url } = await serve(app.set('env', 'test'))
    const refused = await fetch(`${url}/events/payments`, { method: 'POST', body: '{"tenant":"west"}' })
    expect(refused.status).to.equal(400)
  })
})

describe('the error handler of a recipe', () => {
  afterEach(closeServers)

  const handling = programs.filter((name) =>
    /ErrorRequestHandler|\(error: \w+, _?req/.test(readText(`.recipes/${name}`)),
  )
  for (const name of handling) {
    it(`sends the headers of an error, such as Retry-After: ${name}`, async () => {
      // A copy of its own: other tests import the recipe with settings of theirs.
      const copy = `${root}build/.recipes/${name.replace(/ts$/, 'js')}?own`
      const recipe = (await import(copy)) as Recipe
      const layers = (recipe.connected ?? recipe.app.router).stack as readonly {
        handle: ErrorRequestHandler
      }[]
      const handlers = layers.map(({ handle }) => handle).filter(({ length }) => length === 4)
      expect(handlers).to.have.length(1)
      const full = bodyCache({ memory: 0, diskBudget: 0 })
      const refusing: RequestHandler = (req, _res, next) => void req.bodyCache.buffer().catch(next)
      const { url } = await serve(
        express()
          .set('env', 'test')
          .use(full, refusing, ...handlers),
      )
      const refused = await fetch(url, { method: 'POST', body: 'x' })
      expect([refused.status, refused.headers.get('retry-after')]).to.deep.equal([503, '10'])
    })
  }
})

describe('a recipe that asks for the host of a request, on Express 4', () => {
  afterEach(closeServers)

  it('links to the port that the client has asked: urls-in-json', async () => {
    const upstream = await serve(({ headers, url }, res) => {
      res.setHeader('Content-Type', 'application/json')
      res.end(JSON.stringify({ self: `http://${headers.host}${url}` }))
    })
    process.env['UPSTREAM'] = `${upstream.url}/v1`
    const { app } = await onExpress4('urls-in-json')
    delete process.env['UPSTREAM']
    const { url } = await serve(app.set('env', 'test'))
    expect(await (await fetch(`${url}/api/orders`)).json()).to.deep.equal({ self: `${url}/api/orders` })
  })
})

/** The recipe with Express 4 in place of Express 5. */
async function onExpress4(recipe: string): Promise<{ app: Express }> {
  const name = `${root}build/.recipes/${recipe}`
  const code = readText(`build/.recipes/${recipe}.js`).replace("from 'express'", "from 'express4'")
  writeFileSync(`${name}-on-4.js`, code)
  try {
    return (await import(`${name}-on-4.js`)) as { app: Express }
  } finally {
    rmSync(`${name}-on-4.js`)
  }
}

/** The status of a chunked body of 6 MiB: no middleware can refuse it before a handler reads it. */
async function statusOf(url: string): Promise<number | undefined> {
  const asking = request(url, { method: 'POST', headers: { 'X-Client': 'ada' } })
  asking.on('error', () => {}) // the connection ends after the answer
  asking.write(Buffer.alloc(6 * 1024 ** 2))
  const [answer] = (await once(asking, 'response')) as [IncomingMessage]
  asking.destroy()
  return answer.statusCode
}

describe('a recipe with a secret', () => {
  for (const [recipe, secret] of [
    ['parse-twice', 'WEBHOOK_SECRET'],
    ['webhook-signatures', 'STRIPE_SECRET'],
    ['from-body-parser-verify', 'ADAS_KEY'],
    ['nestjs', 'WEBHOOK_SECRET'],
    ['llm-gateway', 'API_KEY'],
  ] as const) {
    for (const env of [{}, { [secret]: '' }]) {
      it(`does not start without it: ${recipe}, ${JSON.stringify(env)}`, async () => {
        const error = await run(process.execPath, [`build/.recipes/${recipe}.js`], { cwd: root, env }).catch(
          (reason: Error) => reason,
        )
        expect(error).to.be.an('error').with.property('message').that.contains(`${secret} is not set`)
      })
    }
  }
})
