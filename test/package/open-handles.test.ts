import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { root } from '../support/repository/repository.js'

const run = promisify(execFile)

/** Finds open handles as jest does: async resources that have not been destroyed, and do not say that they hold nothing. */
const program = `
import { createHook } from 'node:async_hooks'
import { once } from 'node:events'
import { createServer } from 'node:http'

const open = new Map()
createHook({
  init(id, type, _trigger, resource) {
    if (/^SLUICEWAY|^bound/.test(type)) open.set(id, { type, resource: 'hasRef' in resource ? new WeakRef(resource) : undefined })
  },
  destroy(id) {
    open.delete(id)
  },
}).enable()

async function ask() {
  const { attach, passthroughProxy } = await import('sluiceway')
  const upstream = createServer((_req, res) => res.end('answer')).listen(0, '127.0.0.1')
  await once(upstream, 'listening')
  const proxy = passthroughProxy('http://127.0.0.1:' + upstream.address().port)
  const server = createServer((req, res) => proxy(req, res, (error) => res.end(String(error)))).listen(0, '127.0.0.1')
  attach(server, server.listeners('request')[0])
  await once(server, 'listening')
  for (let n = 0; n < 3; n++) console.log(await (await fetch('http://127.0.0.1:' + server.address().port)).text())
  server.close()
  server.closeAllConnections()
  upstream.unref()
}

await ask()
for (let n = 0; n < 5; n++) {
  await new Promise((resolve) => setTimeout(resolve, 20))
  gc()
}
const isOpen = ({ resource }) => resource === undefined || resource.deref()?.hasRef()
console.log(JSON.stringify([...open.values()].filter(isOpen).map(({ type }) => type)))
`

describe('a process that has imported the package and proxied a request', function () {
  this.timeout(60_000)

  it('has no open handle of it, for tools that look for what keeps a process alive', async () => {
    const { stdout } = await run(
      process.execPath,
      ['--expose-gc', '--input-type=module', '--eval', program],
      { cwd: root, timeout: 50_000 },
    )
    expect(stdout).to.equal('answer\nanswer\nanswer\n[]\n')
  })
})
