import { execFile } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { type Installed, installPacked } from '../support/packed.js'
import { root } from '../support/repository.js'

const run = promisify(execFile)

const program = `
import { createServer } from 'node:http'
import { maxBytes, type MaxBytesOptions } from 'sluiceway/max-bytes'
import { autoFlush, bodyCache, isSluicewayError, passthroughProxy } from 'sluiceway'

const options: MaxBytesOptions = { limit: '1mb', lingerMs: undefined }
const steps = [maxBytes(options), bodyCache(), autoFlush(), passthroughProxy('http://127.0.0.1:1')]
export const server = createServer((req, res) => {
  steps[0]?.(req, res, (error) => {
    const status: number = isSluicewayError(error) ? error.status : 200
    res.writeHead(status).end(String(req.bodyCache))
  })
})
`

/** Compiler settings of TypeScript projects in the wild. They have no types of express. */
const projects = {
  'nodenext, ES modules': { type: 'module', module: 'nodenext', moduleResolution: 'nodenext' },
  'nodenext, CommonJS': { type: 'commonjs', module: 'nodenext', moduleResolution: 'nodenext' },
  bundler: { type: 'module', module: 'esnext', moduleResolution: 'bundler' },
}

describe('a TypeScript project with the packed package', function () {
  this.timeout(60_000)

  let installed: Installed

  before(async () => {
    installed = await installPacked()
    installed.link('@types/node', 'undici-types')
  })
  after(() => installed.remove())

  for (const [name, { type, ...compilerOptions }] of Object.entries(projects)) {
    it(`compiles strictly, declarations included: ${name}`, async () => {
      const folder = path.join(installed.folder, name.replace(/\W+/g, '-'))
      mkdirSync(folder)
      const files = {
        'package.json': { type },
        'tsconfig.json': {
          compilerOptions: {
            ...compilerOptions,
            target: 'es2022',
            strict: true,
            exactOptionalPropertyTypes: true,
            skipLibCheck: false,
            types: ['node'],
            noEmit: true,
          },
        },
      }
      for (const [file, json] of Object.entries(files)) {
        writeFileSync(path.join(folder, file), JSON.stringify(json))
      }
      writeFileSync(path.join(folder, 'program.ts'), program)
      expect(await compile(folder)).to.equal('')
    })
  }
})

/** What the compiler has to say. */
async function compile(folder: string): Promise<string> {
  try {
    return (await run(`${root}/node_modules/.bin/tsc`, ['-p', folder])).stdout
  } catch (error) {
    return String((error as { stdout: unknown }).stdout)
  }
}
