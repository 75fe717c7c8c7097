import { expect } from 'chai'
import { app } from '../../.recipes/two-schemas.js'
import { closeServers, serve } from '../support/servers/servers.js'

const payment = (): Record<string, unknown> => ({
  tenant: 'north',
  sentAt: new Date().toISOString(),
  amount: 12.5,
  currency: 'eur',
})

describe('recipe: validate one body with two schemas', () => {
  afterEach(closeServers)

  async function post(body: string): Promise<{ status: number; tenant: string | null; answer: unknown }> {
    const { url } = await serve(app)
    const response = await fetch(`${url}/events/payments`, { method: 'POST', body })
    return {
      status: response.status,
      tenant: response.headers.get('x-tenant'),
      answer: await response.json(),
    }
  }

  it('checks the envelope in a middleware and the payload in the handler', async () => {
    expect(await post(JSON.stringify(payment()))).to.deep.equal({
      status: 200,
      tenant: 'north',
      answer: { booked: '12.50 EUR' },
    })
  })

  for (const [title, change, tenant, issue] of [
    ['the envelope', { tenant: 'west' }, null, 'tenant: Invalid option: expected one of "north"|"south"'],
    ['the payload', { amount: -1 }, 'north', 'amount: Too small: expected number to be >0'],
    ['a key too many', { extra: 1 }, 'north', ': Unrecognized key: "extra"'],
  ] as const) {
    it(`answers 400 with the issue of ${title}`, async () => {
      expect(await post(JSON.stringify({ ...payment(), ...change }))).to.deep.equal({
        status: 400,
        tenant,
        answer: { error: 'ERR_SLUICEWAY_BODY_INVALID', issues: [issue] },
      })
    })
  }

  it('gives the middleware a date to compare', async () => {
    const sentAt = new Date(Date.now() - 7_200_000).toISOString()
    expect(await post(JSON.stringify({ ...payment(), sentAt }))).to.include({ status: 410 })
  })

  it('distinguishes a body that is not JSON from one that is invalid', async () => {
    const { status, answer } = await post('{')
    expect([status, answer]).to.deep.equal([400, { error: 'ERR_SLUICEWAY_BODY_MALFORMED' }])
  })
})
