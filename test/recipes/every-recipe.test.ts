import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { namesIn, readText, root } from '../support/repository.js'

const run = promisify(execFile)
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

    it(`has no default for a secret: ${name}`, () => {
      expect(program).to.not.match(/process\.env\['\w*(?:SECRET|KEY|TOKEN|PASSWORD)'\] \?\?/)
    })
  }
})

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
