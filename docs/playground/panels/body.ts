import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { type RequestHandler, Router } from 'express'
import { bodyCache, passthroughProxy } from 'sluiceway'
import { z } from 'zod'

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
export function bodyRoutes(upstream: string): Router {
  const routes = Router()
  const passOn = passthroughProxy(upstream, { path: () => '/digest' })
  routes.post('/', bodyCache({ limit: '1mb' }), checkSignature, parseTwice, passOn)
  return routes
}

const checkSignature: RequestHandler = async (req, res, next) => {
  const expected = createHmac('sha256', secret)
    .update(await req.bodyCache.buffer())
    .digest()
  const given = Buffer.from(req.get('X-Signature') ?? '', 'hex')
  if (given.length === expected.length && timingSafeEqual(given, expected)) {
    next()
    return
  }
  res.status(401).json({ error: 'The signature does not fit these bytes: somebody changed them on the way.' })
}

/** The upstream gives the answer's body, so what was seen here travels in a header. */
const parseTwice: RequestHandler = async (req, res, next) => {
  const bytes = await req.bodyCache.buffer()
  const report = {
    bytes: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    order: await req.bodyCache.json(Order),
    audit: await req.bodyCache.json(Audit),
  }
  res.set('Playground-Report', encodeURIComponent(JSON.stringify(report)))
  next()
}
