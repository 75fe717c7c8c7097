import type { LookupAddress } from 'node:dns'
import { lookup } from 'node:dns/promises'
import net, { type AddressInfo } from 'node:net'
import { expect } from 'chai'
import { Agent } from 'undici'
import { answer } from '../../support/servers/scripted-upstream.js'
import { endAll, kept, asked } from './upstreams.js'

describe('the upstreams of passthroughProxy', () => {
  afterEach(endAll)

  describe('by address and by name', () => {
    let hasIpv6 = true

    before(async function ipv6() {
      const probe = net.createServer()
      hasIpv6 = await new Promise((resolve) => {
        probe.once('error', () => resolve(false)).listen(0, '::1', () => probe.close(() => resolve(true)))
      })
      if (!hasIpv6) console.log('      skipped: there is no IPv6 here')
    })

    async function on(address: string): Promise<number> {
      const server = net.createServer((socket) => {
        socket.on('error', () => {})
        socket.on('data', () => socket.end(answer(address)))
      })
      await new Promise<void>((resolve) => server.listen(0, address, resolve))
      return listening(server)
    }

    const open: net.Server[] = []
    function listening(server: net.Server): number {
      open.push(server)
      return (server.address() as AddressInfo).port
    }
    afterEach(() => {
      for (const server of open.splice(0)) server.close()
    })

    it('are reached at ::1', async function needsIpv6() {
      if (!hasIpv6) this.skip()
      const port = await on('::1')
      expect((await asked(`http://[::1]:${port}/`)).body.toString()).to.equal('::1')
    })

    for (const address of ['127.0.0.1', '::1']) {
      it(`are reached as localhost if they listen only on ${address}`, async function needsBoth() {
        const known = await lookup('localhost', { all: true })
        if (!known.some((entry) => entry.address === address)) {
          console.log(`        skipped: localhost is not ${address} here`)
          this.skip()
        }
        const port = await on(address)
        expect((await asked(`http://localhost:${port}`)).body.toString()).to.equal(address)
      })

      it(`are reached by a name with both addresses if they listen only on ${address}`, async function needsIpv6() {
        if (!hasIpv6) this.skip()
        const port = await on(address)
        expect((await asked(`http://both.example:${port}`, bothAddresses())).body.toString()).to.equal(
          address,
        )
      })
    }

    function bothAddresses(): Agent {
      const addresses: LookupAddress[] = [
        { address: '::1', family: 6 },
        { address: '127.0.0.1', family: 4 },
      ]
      const both: net.LookupFunction = (_name, _options, done) => done(null, addresses)
      return kept(new Agent({ connect: { lookup: both } }))
    }

    it('are named in the cause with each address that was tried, if none listens', async function needsIpv6() {
      if (!hasIpv6) this.skip()
      const port = await on('127.0.0.1')
      const server = open.pop()
      await new Promise((resolve) => server?.close(resolve))
      const { errors, body } = await asked(`http://both.example:${port}`, bothAddresses())
      expect(errors[0]?.cause).to.have.property('code', 'ECONNREFUSED')
      expect(errors[0]?.cause)
        .to.have.property('message')
        .that.matches(new RegExp(`::1:${port}; connect ECONNREFUSED 127.0.0.1:${port}`))
      expect(body.toString()).not.to.contain('ECONNREFUSED')
    })
  })
})
