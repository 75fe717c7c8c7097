import type { IncomingMessage } from 'node:http'
import { type } from 'arktype'
import { expect } from 'chai'
import type { StandardSchema } from 'sluiceway/body-cache'
import * as v from 'valibot'
import { z } from 'zod'
import { withEntry } from '../../support/error-entry.js'
import { closeServers } from '../../support/servers/servers.js'
import { type BodyError, found } from '../reading.js'

interface Library {
  readonly name: string
  /** An id, and a date that comes as text. */
  readonly order: StandardSchema<{ id: number; sentAt: Date }>
  readonly user: StandardSchema<{ user: string }>
  /** An amount above 0, which comes as text. */
  readonly amount: StandardSchema<{ amount: number }>
  /** An id that somebody else has to confirm: only 1 exists. */
  readonly known: StandardSchema<{ id: number }>
}

const exists = (id: number): Promise<boolean> =>
  new Promise((resolve) => setImmediate(() => resolve(id === 1)))

const libraries: readonly Library[] = [
  {
    name: 'zod',
    order: z.object({ id: z.number(), sentAt: z.coerce.date() }),
    user: z.object({ user: z.string() }),
    amount: z.object({ amount: z.coerce.number().positive() }),
    known: z.object({ id: z.number().refine(exists, 'unknown') }),
  },
  {
    name: 'valibot',
    order: v.object({
      id: v.number(),
      sentAt: v.pipe(
        v.string(),
        v.transform((text) => new Date(text)),
      ),
    }),
    user: v.object({ user: v.string() }),
    amount: v.object({ amount: v.pipe(v.string(), v.transform(Number), v.minValue(1)) }),
    known: v.objectAsync({ id: v.pipeAsync(v.number(), v.checkAsync(exists, 'unknown')) }),
  },
  {
    name: 'arktype',
    order: type({ id: 'number', sentAt: 'string.date.iso.parse' }),
    user: type({ user: 'string' }),
    amount: type({ amount: 'string.numeric.parse |> number > 0' }),
    // It has no asynchronous checks of its own; any object of the standard's shape will do.
    known: { '~standard': { validate: validateKnown } },
  },
]

async function validateKnown(
  value: unknown,
): Promise<{ value: { id: number } } | { issues: { message: string; path: string[] }[] }> {
  const { id } = value as { id: number }
  return (await exists(id)) ? { value: { id } } : { issues: [{ message: 'unknown', path: ['id'] }] }
}

for (const { name, order, user, amount, known } of libraries) {
  describe(`req.bodyCache, with schemas of ${name}`, () => {
    afterEach(closeServers)

    const body = '{"id":1,"user":"ada","sentAt":"2026-01-02T03:04:05.000Z"}'

    it('parses one body as two types', async () => {
      const read = async (req: IncomingMessage): Promise<unknown> => {
        const { id, sentAt } = await req.bodyCache.json(order)
        const audit = await req.bodyCache.json(user)
        return [id, sentAt instanceof Date, sentAt.toISOString(), audit.user]
      }
      expect(await found(read, body)).to.deep.equal([1, true, '2026-01-02T03:04:05.000Z', 'ada'])
    })

    it('parses a form', async () => {
      const read = (req: IncomingMessage): Promise<unknown> => req.bodyCache.urlencoded(amount)
      expect(await found(read, 'amount=5')).to.deep.equal({ amount: 5 })
    })

    it('rejects an invalid value with the issues', async () => {
      for (const [read, invalid, where] of [
        [
          ({ bodyCache: cache }: IncomingMessage) => cache.json(order),
          '{"id":"x","sentAt":"2026-01-02"}',
          'id',
        ],
        [({ bodyCache: cache }: IncomingMessage) => cache.urlencoded(amount), 'amount=-1', 'amount'],
      ] as const) {
        const { issues = [], ...error } = (await found(read, invalid)) as BodyError
        expect(error).to.deep.equal({
          status: 400,
          code: 'ERR_SLUICEWAY_BODY_INVALID',
          message: 'request body is not valid',
        })
        expect(issues).to.have.length(1)
        expect(issues[0]!.message).to.be.a('string')
        // valibot's steps are objects with a key.
        const [step] = issues[0]!.path as ({ key: string } | string)[]
        expect(typeof step === 'object' ? step.key : step).to.equal(where)
      }
    })

    it('rejects a request without a body', async () => {
      expect(await found((req) => req.bodyCache.json(user), '')).to.include({
        status: 400,
        code: 'ERR_SLUICEWAY_BODY_INVALID',
      })
    })

    it('distinguishes a body that cannot be parsed from an invalid value', async () => {
      expect(await found((req) => req.bodyCache.json(user), '{')).to.include({
        code: 'ERR_SLUICEWAY_BODY_MALFORMED',
      })
    })

    it('waits for an asynchronous check', async () => {
      const read = (req: IncomingMessage): Promise<unknown> => req.bodyCache.json(known)
      expect(await found(read, '{"id":1}')).to.deep.equal({ id: 1 })
      const error = (await found(read, '{"id":2}')) as BodyError
      expect([error.status, error.issues?.[0]?.message]).to.deep.equal([400, 'unknown'])
    })
  })
}

describe('req.bodyCache, with an argument that is not a schema', () => {
  afterEach(closeServers)

  for (const [wrong, got] of [
    [null, 'null'],
    [{}, 'an object'],
    ['x', 'a string'],
    [() => {}, 'a function'],
    [{ '~standard': {} }, 'an object'],
  ] as const) {
    it(`explains the error for ${JSON.stringify(wrong) ?? 'a function'}`, async () => {
      const read = (req: IncomingMessage): Promise<unknown> =>
        req.bodyCache.json(wrong as unknown as StandardSchema)
      expect(await found(read, '{}')).to.deep.equal({
        message: withEntry(
          `req.bodyCache: schema must be a Standard Schema, such as one of zod, valibot or arktype, got ${got}`,
          'a-wrong-option',
        ),
      })
    })
  }

  it('passes on the error that a schema throws', async () => {
    const validate = (): never => {
      throw new Error('no database')
    }
    const read = (req: IncomingMessage): Promise<unknown> => req.bodyCache.json({ '~standard': { validate } })
    expect(await found(read, '{}')).to.deep.equal({ message: 'no database' })
  })
})
