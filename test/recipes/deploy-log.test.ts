import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import { app } from '../../.recipes/deploy-log.js'
import { shellBlocks } from '../docs/examples.js'
import { readText } from '../support/repository/repository.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { until } from '../support/time/until.js'

describe('recipe: a deploy log', () => {
  const { PATH } = process.env
  let folder: string
  let port: number

  beforeEach(async () => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'deploy-'))
    process.env['PATH'] = `${folder}:${PATH}`
    port = (await serve(app)).port
  })

  afterEach(async () => {
    process.env['PATH'] = PATH
    await closeServers()
    rmSync(folder, { recursive: true })
  })

  /** Puts a program in place of git or npm. */
  function program(name: 'git' | 'npm', script: string): void {
    writeFileSync(path.join(folder, name), `#!/bin/sh\n${script}\n`)
    chmodSync(path.join(folder, name), 0o755)
  }

  async function deploy(): Promise<http.IncomingMessage> {
    const request = http.request({ port, path: '/deploy', method: 'POST', agent: false }).end()
    request.on('error', () => {})
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    return response
  }

  it('runs all steps, sends the output and the exit of each, and says that they succeeded', async () => {
    program('git', 'echo "git $*"')
    program('npm', 'echo "npm $*"; echo careful >&2')
    const response = await deploy()
    expect(response.headers['content-type']).to.match(/^text\/event-stream/)
    const events = (await text(response)).split('\n\n').filter((event) => event !== 'data: careful')
    const exit = 'event: exit\ndata: {"code":0,"signal":null}'
    expect(events).to.deep.equal([
      'event: step\ndata: git pull --ff-only',
      'data: git pull --ff-only',
      exit,
      'event: step\ndata: npm ci',
      'data: npm ci',
      exit,
      'event: step\ndata: npm run build',
      'data: npm run build',
      exit,
      'event: end\ndata: deployed',
      '',
    ])
  })

  it('stops at the first that fails, and says which', async () => {
    program('git', 'echo pulled')
    program('npm', 'echo broken; exit 3')
    const log = await text(await deploy())
    expect(log).to.match(
      /data: broken\n\nevent: exit\ndata: \{"code":3,"signal":null\}\n\nevent: end\ndata: failed: npm ci\n\n$/,
    )
    expect(log).to.not.include('npm run build')
  })

  it('says so if a command is missing', async () => {
    process.env['PATH'] = folder
    const log = await text(await deploy())
    expect(log).to.match(
      /event: stderr\ndata: spawn git ENOENT\n\nevent: end\ndata: failed: git pull --ff-only\n\n$/,
    )
  })

  it('stops when the client leaves, and takes the next deployment', async () => {
    program('git', `echo started; echo $$ > ${folder}/pid; sleep 60`)
    program('npm', `touch ${folder}/never`)
    const response = await deploy()
    await once(response, 'data')
    const second = await deploy()
    expect([second.statusCode, await text(second)]).to.deep.equal([409, 'a deployment is running'])
    response.on('error', () => {}).destroy()
    program('git', 'exit 5')
    let log = ''
    while (!log.includes('failed')) log = await text(await deploy())
    await until(() => log.endsWith('failed: git pull --ff-only\n\n'))
  })

  /** Runs the check of the page in a shell, which prints `live` after a success. */
  async function check(): Promise<string> {
    const block = shellBlocks().find(({ title }) => title === 'docs-recipes-deploy-log 2')
    const command = readText(`.recipes/${block?.file}`).replace('localhost:3000', `127.0.0.1:${port}`)
    const shell = execFile('bash', ['-c', command], { cwd: folder, env: { ...process.env, PATH } })
    const [printed] = await Promise.all([text(shell.stdout!), once(shell, 'close')])
    return printed
  }

  it('is live for the script of the page after all steps, though one has printed `deployed` before', async () => {
    program('git', 'echo deployed')
    program('npm', 'sleep 0.2; echo deployed')
    expect(await check()).to.equal('live\n')
    expect(readFileSync(path.join(folder, 'deploy.log'), 'utf8')).to.contain('data: npm run build\n')
  })

  it('is not live for that script if a step prints `deployed` and fails, and is not cut by it', async () => {
    program('git', 'echo deployed; sleep 0.2; echo pulled')
    program('npm', 'echo deployed; exit 3')
    expect(await check()).to.equal('')
    const log = readFileSync(path.join(folder, 'deploy.log'), 'utf8')
    expect(log).to.match(/data: pulled\n[^]*event: end\ndata: failed: npm ci\n\n$/)
  })
})
