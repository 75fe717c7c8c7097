import { expect } from 'chai'
import { manifest } from '../support/repository/repository.js'
import { closeServers } from '../support/servers/servers.js'

describe('GHSA-m8rv-5g2x-5cg5 and those before it (undici)', () => {
  afterEach(closeServers)

  it('no undici comes with this package', () => {
    expect(manifest.dependencies).to.be.an('object').and.not.have.property('undici')
  })
})
