import { rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { expect } from 'chai'
import express, { type Express } from 'express'
import { passthroughProxy } from 'sluiceway'
import { readText, root } from '../support/repository/repository.js'
import { closeServers, listen, serve } from '../support/servers/servers.js'
import { examples } from './examples.js'

/** The rows about mounts on docs/errors.md: mount, target, request, and the path that the upstream is asked for. */
const mounts = [
  ...readText('docs/errors.md').matchAll(
    /^\| `app\.use\((?:'(.+?)', )?passthroughProxy\('http:\/\/host(.*?)'\)\)` \| `(.+?)` \| `(.+?)` \|$/gm,
  ),
].map(([, mount = '/', path = '', request = '', asked = '']) => ({ mount, path, request, asked }))

describe('docs/errors.md, by symptom', () => {
  afterEach(closeServers)

  it('has mounts with and without a path of the target', () => expect(mounts).to.have.length.above(4))

  for (const { mount, path, request, asked } of mounts) {
    it(`has the right path at the upstream: ${mount} to ${path || '/'}, ${request}`, async () => {
      const upstream = await listen(createServer((req, res) => res.end(req.url)))
      const { url } = await serve(express().use(mount, passthroughProxy(upstream.url + path)))
      expect(await (await fetch(url + request)).text()).to.equal(asked)
    })
  }

  it('has a wrapper for async handlers that works on Express 4', async () => {
    const example = examples().find(({ title }) => title === 'docs-errors 2')
    const name = `build/.recipes/${example?.file}`.replace('.ts', '.js')
    const onExpress4 = `${root}${name}`.replace('.js', '-on-4.js')
    writeFileSync(onExpress4, readText(name).replace("from 'express'", "from 'express4'"))
    try {
      const { app } = (await import(onExpress4)) as { app: Express }
      const { url } = await serve(app.set('env', 'test'))
      const post = { method: 'POST', headers: { 'Content-Type': 'application/json' } }
      expect((await fetch(`${url}/orders`, { ...post, body: '[1' })).status).to.equal(400)
      expect(await (await fetch(`${url}/orders`, { ...post, body: '[1]' })).json()).to.deep.equal({
        order: [1],
      })
    } finally {
      rmSync(onExpress4)
    }
  })
})
