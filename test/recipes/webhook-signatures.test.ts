import { createHmac } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { expect } from 'chai'
import '../support/recipes/example-secrets.js'
import { app } from '../../.recipes/webhook-signatures.js'
import { closeServers, serve } from '../support/servers/servers.js'

/** A sender: its body, its signature, and the answer to a valid request. */
interface Sender {
  readonly path: string
  readonly body: string
  readonly type: string
  readonly sign: (body: string | Buffer, timestamp?: number, secret?: string) => Record<string, string>
  readonly answer: unknown
}

const now = (): number => Math.floor(Date.now() / 1000)
const hmac = (secret: string, ...parts: (string | Buffer)[]): string => {
  const hash = createHmac('sha256', secret)
  for (const part of parts) hash.update(part)
  return hash.digest('hex')
}

const stripe: Sender = {
  path: '/stripe',
  // Spaces, key order and an escape that no JSON.stringify would give again.
  body: '{ "type" : "invoice.paid",\n "id":"evt_\\u0031", "total": 1.0 }',
  type: 'application/json',
  sign: (body, timestamp = now(), secret = 'whsec_sesame') => ({
    'stripe-signature': `t=${timestamp},v1=${hmac('an old secret', `${timestamp}.`, body)},v1=${hmac(secret, `${timestamp}.`, body)},v0=ab`,
  }),
  answer: { received: 'invoice.paid' },
}

const github: Sender = {
  path: '/github',
  body: '{"action":"opened", "title":"gr\\u00fc\\u00dfe"}',
  type: 'application/json',
  sign: (body, _timestamp, secret = 'sesame') => ({
    'x-hub-signature-256': `sha256=${hmac(secret, body)}`,
    'x-github-event': 'issues',
  }),
  answer: { received: 'issues', action: 'opened' },
}

const slack: Sender = {
  path: '/slack',
  body: 'command=%2Fdeploy&text=to+production%21',
  type: 'application/x-www-form-urlencoded',
  sign: (body, timestamp = now(), secret = 'sesame') => ({
    'x-slack-request-timestamp': String(timestamp),
    'x-slack-signature': `v0=${hmac(secret, `v0:${timestamp}:`, body)}`,
  }),
  answer: { text: '/deploy to production!: done' },
}

describe('recipe: check webhook signatures', () => {
  afterEach(closeServers)

  async function send(
    { path, type }: Sender,
    body: string | Buffer,
    headers: Record<string, string>,
  ): Promise<{ status: number; answer: unknown }> {
    const { url } = await serve(app)
    const response = await fetch(url + path, {
      method: 'POST',
      body,
      headers: { 'content-type': type, ...headers },
    })
    return { status: response.status, answer: await response.json() }
  }

  for (const sender of [stripe, github, slack]) {
    const { path, body, sign, answer } = sender
    describe(`on ${path}`, () => {
      const refused = { status: 401, answer: { error: 'signature does not match' } }

      it('accepts a body with its signature, and parses it', async () => {
        expect(await send(sender, body, sign(body))).to.deep.equal({ status: 200, answer })
      })

      it('refuses a body that was changed by one byte', async () => {
        const changed = body.replace('e', 'E')
        expect(await send(sender, changed, sign(body))).to.deep.equal(refused)
        expect(await send(sender, `${body} `, sign(body))).to.deep.equal(refused)
      })

      it('refuses the signature of another secret, half of one, and none', async () => {
        expect(await send(sender, body, sign(body, now(), 'guess'))).to.deep.equal(refused)
        const halves = Object.entries(sign(body)).map(([name, value]) => [
          name,
          value.slice(0, value.length >> 1),
        ])
        expect(await send(sender, body, Object.fromEntries(halves) as Record<string, string>)).to.deep.equal(
          refused,
        )
        expect(await send(sender, body, {})).to.deep.equal(refused)
      })

      it('signs the bytes on the wire: for a compressed body, the compressed ones', async () => {
        const compressed = gzipSync(body)
        const gzip = { 'content-encoding': 'gzip' }
        expect(await send(sender, compressed, { ...sign(compressed), ...gzip })).to.deep.equal({
          status: 200,
          answer,
        })
        expect(await send(sender, compressed, { ...sign(body), ...gzip })).to.deep.equal(refused)
      })

      it('answers 400 for a body that is signed and cannot be parsed', async () => {
        const nonsense = '{"id":'
        expect(await send(sender, nonsense, sign(nonsense))).to.include({ status: 400 })
      })
    })
  }

  for (const sender of [stripe, slack]) {
    it(`refuses on ${sender.path} a body that was signed more than five minutes ago, or in the future`, async () => {
      const { body, sign, answer } = sender
      const at = (seconds: number): ReturnType<typeof send> => send(sender, body, sign(body, now() + seconds))
      expect(await at(-290)).to.deep.equal({ status: 200, answer })
      for (const seconds of [-301, 310]) expect(await at(seconds)).to.include({ status: 401 })
    })
  }

  it('refuses an old signature whose time was changed', async () => {
    const old = stripe.sign(stripe.body, now() - 1000)['stripe-signature']!
    const renewed = old.replace(/t=\d+/, `t=${now()}`)
    expect(await send(stripe, stripe.body, { 'stripe-signature': renewed })).to.include({ status: 401 })
  })
})
