// Compiled, never run: the type of a parsed body with a schema of each library.
import type { IncomingMessage } from 'node:http'
import { type } from 'arktype'
import { expectTypeOf } from 'expect-type'
import { bodyCache, type BodyCache, type PrototypePoisoning, type StandardSchema } from 'sluiceway/body-cache'
import * as v from 'valibot'
import { z } from 'zod'

interface Order {
  id: string
  sentAt: Date
  note?: string | undefined
}

const zod = z.object({ id: z.string(), sentAt: z.coerce.date(), note: z.string().optional() })
const toDate = v.pipe(
  v.string(),
  v.transform((text) => new Date(text)),
)
const valibot = v.object({ id: v.string(), sentAt: toDate, note: v.optional(v.string()) })
const valibotAsync = v.objectAsync({
  id: v.pipeAsync(
    v.string(),
    v.checkAsync(async () => true),
  ),
  sentAt: toDate,
})
const arktype = type({ id: 'string', sentAt: 'string.date.parse' })
const union = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('file'), size: z.number() }),
  z.object({ kind: z.literal('link'), target: z.string().transform((text) => new URL(text)) }),
])

export async function parse({ bodyCache: body }: IncomingMessage): Promise<void> {
  expectTypeOf(await body.json(zod)).toEqualTypeOf<Order>()
  expectTypeOf(await body.json(valibot)).toEqualTypeOf<Order>()
  expectTypeOf(await body.json(valibotAsync)).toEqualTypeOf<{ id: string; sentAt: Date }>()
  expectTypeOf(await body.json(arktype)).toEqualTypeOf<{ id: string; sentAt: Date }>()
  expectTypeOf(await body.json(union)).toEqualTypeOf<
    { kind: 'file'; size: number } | { kind: 'link'; target: URL }
  >()
  expectTypeOf(await body.json(z.array(z.number()))).toEqualTypeOf<number[]>()
  expectTypeOf(await body.json(type('string[]'))).toEqualTypeOf<string[]>()

  expectTypeOf(await body.urlencoded(zod)).toEqualTypeOf<Order>()
  expectTypeOf(await body.urlencoded(v.object({ amount: v.pipe(v.string(), v.toNumber()) }))).toEqualTypeOf<{
    amount: number
  }>()
  expectTypeOf(await body.urlencoded(type({ amount: 'string.numeric.parse' }))).toEqualTypeOf<{
    amount: number
  }>()

  expectTypeOf(await body.urlencoded()).toEqualTypeOf<Record<string, unknown>>()
  expectTypeOf(await body.formData()).toEqualTypeOf<FormData>()
  expectTypeOf(await body.blob()).toExtend<Blob>()

  // @ts-expect-error a type is no schema
  void body.json<Order>()
  // @ts-expect-error nor is a class
  void body.json(Date)
  // @ts-expect-error nor a shape
  void body.json({ id: z.string() })
  // @ts-expect-error the accessors are there to read
  body.size = 1
}

// A schema of one's own.
const positive: StandardSchema<number> = {
  '~standard': {
    validate: (value) =>
      typeof value === 'number' && value > 0 ? { value } : { issues: [{ message: 'must be above 0' }] },
  },
}
expectTypeOf<BodyCache['json']>().toBeCallableWith(positive)

bodyCache({ prototypePoisoning: 'remove', limit: '1mb', parseLimit: 1024, rawBody: true })
bodyCache({ prototypePoisoning: undefined, limit: undefined, parseLimit: undefined, rawBody: undefined })
expectTypeOf<PrototypePoisoning>().toEqualTypeOf<'error' | 'remove' | 'ignore'>()
// @ts-expect-error there is no such way to treat them
bodyCache({ prototypePoisoning: 'drop' })
