import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { type RequestHandler, Router } from 'express'
import { bodyCache, passthroughProxy } from 'sluiceway'
import { z } from 'zod'
import type { Traces } from '../traces.js'

const secret = 'sesame'

/** What the shop wants of an order: what to pack and what it costs. */
const Order = z
  .object({
    id: z.string(),
    items: z.array(z.object({ sku: z.string(), quantity: z.int().positive(), price: z.number() })).min(1),
  })
  .transform(({ id, items }) => ({
    id,
    pack: items.map(({ quantity, sku }) => `${quantity} × ${sku}`),
    total: items.reduce((sum, { quantity, price }) => sum + quantity * price, 0),
  }))

/** What the audit log wants of the same order: who, and when. */
const Audit = z
  .object({
    customer: z.object({ name: z.string(), country: z.string().length(2) }),
    sentAt: z.coerce.date(),
  })
  .transform(({ customer, sentAt }) => ({
    who: `${customer.name} (${customer.country})`,
    day: sentAt.toDateString(),
  }))

/** One POST: its signature is checked, it is parsed twice, and goes on to the upstream as it came. */
export function bodyRoutes(traces: Traces, upstream: string): Router {
  const checkSignature: RequestHandler = async (req, res, next) => {
    const bytes = await req.bodyCache.buffer()
    const fits = isSignatureOf(bytes, req.get('X-Signature'))
    traces.of(req).note('gateway', 'checked', { bytes: bytes.length, fits })
    if (fits) next()
    else res.status(401).json(mismatch)
  }

  /** The upstream gives the answer's body, so what was seen here travels in a header. */
  const parseTwice: RequestHandler = async (req, res, next) => {
    const bytes = await req.bodyCache.buffer()
    const order = await req.bodyCache.json(Order)
    traces.of(req).note('gateway', 'order')
    const audit = await req.bodyCache.json(Audit)
    traces.of(req).note('gateway', 'audit')
    const report = {
      bytes: bytes.length,
      sha256: createHash('sha256').update(bytes).digest('hex'),
      order,
      audit,
    }
    res.set('Playground-Report', encodeURIComponent(JSON.stringify(report)))
    next()
  }

  const passOn = passthroughProxy(upstream, {
    path: (req) => `/digest${new URL(req.url ?? '', upstream).search}`,
    onRequest: (outgoing, req) => traces.of(req).note('gateway', 'asked'),
  })
  const routes = Router()
  routes.post('/', bodyCache({ limit: '1mb' }), checkSignature, parseTwice, passOn)
  return routes
}

const mismatch = {
  error: 'the signature does not fit these bytes: somebody changed them on the way',
  code: 'SIGNATURE_MISMATCH',
}

function isSignatureOf(bytes: Buffer, given: string | undefined): boolean {
  const expected = createHmac('sha256', secret).update(bytes).digest()
  const signature = Buffer.from(given ?? '', 'hex')
  return signature.length === expected.length && timingSafeEqual(signature, expected)
}
