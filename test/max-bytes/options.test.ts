import { inspect } from 'node:util'
import { expect } from 'chai'
import { maxBytes, type MaxBytesOptions } from 'sluiceway/max-bytes'
import { hosts } from '../support/express/hosts.js'
import { closeServers, serve } from '../support/servers/servers.js'

/** Values that are not sizes, some of which `bytes.parse` would read as a size, or as no limit at all. */
const wrongSizes: readonly (readonly [size: unknown, shown: string])[] = [
  ['10x', '"10x"'],
  ['banana', '"banana"'],
  ['10', '"10"; did you mean 10, or \'10b\'?'],
  ['1.5M', '"1.5M"; did you mean \'1.5mb\'?'],
  ['10 MiB', '"10 MiB"; did you mean \'10mb\'?'],
  ['2,5 Gigabytes', '"2,5 Gigabytes"; did you mean \'2.5gb\'?'],
  [' 8 bytes', '" 8 bytes"; did you mean \'8b\'?'],
  ['10 minutes', '"10 minutes"'],
  ['Infinity', '"Infinity"; Infinity is a number, without quotes'],
  ['1 000kb', '"1 000kb"'],
  ['-1kb', '"-1kb"'],
  ['', '""'],
  [Number.NaN, 'NaN'],
  [-1, '-1'],
  [1.5, '1.5'],
  [null, 'null'],
  [2 ** 53, '9007199254740992'],
  [-Infinity, '-Infinity'],
  [{}, 'an object'],
  [[], 'an array'],
  [true, 'true'],
  [10n, '10n'],
  [[1n], 'an array'],
  [{ of: globalThis }, 'an object'],
  [Symbol('10'), 'a symbol'],
]

describe('maxBytes options', () => {
  afterEach(closeServers)

  for (const [wrong, shown] of wrongSizes) {
    it(`refuse the limit ${inspect(wrong)} (${typeof wrong})`, () => {
      const options = { limit: wrong } as unknown as MaxBytesOptions
      expect(() => maxBytes(options))
        .to.throw()
        .with.property('message')
        .that.matches(
          /^maxBytes: option "limit" must be a whole number of bytes or .* '100kb', or Infinity, got /,
        )
        .and.satisfies((message: string) => message.includes(`, got ${shown} (see `))
    })
  }

  it('throw a TypeError for a wrong kind and a RangeError for a number out of range', () => {
    expect(() => maxBytes('banana')).to.throw(TypeError)
    expect(() => maxBytes(-1)).to.throw(RangeError)
    expect(() => maxBytes({ limit: 1, lingerBytes: Infinity })).to.throw(
      RangeError,
      "a size such as '100kb', got Infinity",
    )
  })

  it('require a limit', () => {
    expect(() => maxBytes(undefined as unknown as number)).to.throw(TypeError, 'option "limit"')
    expect(() => maxBytes({} as MaxBytesOptions)).to.throw(TypeError, 'option "limit"')
    expect(() => maxBytes(null as unknown as number)).to.throw(TypeError, /option "limit" .*got null/)
  })

  it('name the nearest known key for an unknown one', () => {
    const options = { limit: 1, lingerMS: 5 } as MaxBytesOptions
    expect(() => maxBytes(options)).to.throw(
      TypeError,
      'unknown option "lingerMS"; did you mean "lingerMs"? (see ',
    )
  })

  it('name the replacement of an option of body-parser or multer', () => {
    const options = { limit: 1, limits: { fileSize: 1 } } as MaxBytesOptions
    expect(() => maxBytes(options)).to.throw(
      TypeError,
      'unknown option "limits"; it is "limit" here, for the whole body',
    )
  })

  it('refuse durations that a timer cannot keep', () => {
    expect(() => maxBytes({ limit: 1, lingerMs: 2 ** 31 })).to.throw(
      RangeError,
      'option "lingerMs" must be at most 2147483647 milliseconds, got 2147483648',
    )
    const lingerMs = (() => 5) as never
    expect(() => maxBytes({ limit: 1, lingerMs })).to.throw(
      TypeError,
      'option "lingerMs" must be a whole number of milliseconds from 0 up',
    )
    expect(() => maxBytes({ limit: 1, lingerMs })).to.throw(TypeError, 'got a function')
    expect(() => maxBytes({ limit: 1, lingerMs: 0.5 })).to.throw(RangeError, 'option "lingerMs"')
  })

  it('treat undefined as absent and accept an object without a prototype', () => {
    expect(() => maxBytes({ limit: '1.5MB', lingerMs: undefined, lingerBytes: undefined })).not.to.throw()
    const bare = Object.assign(Object.create(null) as object, { limit: Infinity })
    expect(() => maxBytes(bare)).not.to.throw()
  })

  it('explain a factory that was mounted without being called', async () => {
    const { url } = await serve((req, res) => {
      try {
        maxBytes(req as unknown as MaxBytesOptions)
      } catch (error) {
        res.end(String(error))
      }
    })
    expect(await (await fetch(url)).text()).to.contain('did you mean app.use(maxBytes(…))')
  })

  for (const { name, mount } of hosts) {
    describe(`with a function as limit, on ${name}`, () => {
      for (const [title, limit] of [
        [
          'throws',
          () => {
            throw new Error('no such plan')
          },
        ],
        ...[undefined, null, 0, '', 'route', 'router'].map(
          (thrown) =>
            [
              `throws ${JSON.stringify(thrown)}, which Express takes for no error`,
              (): number => {
                throw thrown // oxlint-disable-line typescript/only-throw-error
              },
            ] as const,
        ),
        ['returns nonsense', () => 'banana'],
        ['returns nothing', () => undefined as unknown as number],
      ] as const) {
        it(`answers with an error, never without a limit, when it ${title}`, async () => {
          const { url } = await serve(mount(maxBytes(limit), (_req, res) => res.end('let through')))
          const response = await fetch(url, { method: 'POST', body: 'abc' })
          expect(response.status).to.equal(500)
        })
      }

      it('names the function if its result is not a size', async () => {
        const errors: unknown[] = []
        const limited = maxBytes(() => 'lots')
        const { url } = await serve((req, res) => {
          limited(req, res, (error) => {
            errors.push(error)
            res.end()
          })
        })
        await fetch(url, { method: 'POST', body: 'abc' })
        expect(String(errors)).to.match(
          /^TypeError: maxBytes: the result of your function "limit" must be a whole number .*, got "lots" \(see /,
        )
      })

      it('uses the size it returns for this request', async () => {
        const limit = (req: { url?: string | undefined }): string => (req.url === '/large' ? '1kb' : '1b')
        const { url } = await serve(mount(maxBytes(limit), (_req, res) => res.end('let through')))
        expect((await fetch(`${url}/large`, { method: 'POST', body: 'abc' })).status).to.equal(200)
        expect((await fetch(`${url}/small`, { method: 'POST', body: 'abc' })).status).to.equal(413)
      })

      it('may return Infinity, and is not called for a request without a body', async () => {
        const asked: unknown[] = []
        const limit = (req: { method?: string | undefined }): number => asked.push(req.method) * Infinity
        const { url } = await serve(mount(maxBytes(limit), (_req, res) => res.end('let through')))
        expect((await fetch(url)).status).to.equal(200)
        expect((await fetch(url, { method: 'POST', body: 'abc' })).status).to.equal(200)
        expect(asked).to.deep.equal(['POST'])
      })
    })
  }

  it('ignore later changes to the caller’s object', async () => {
    const options = { limit: 2 }
    const limited = maxBytes(options)
    options.limit = 1000
    const { url } = await serve(hosts[0]!.mount(limited, (_req, res) => res.end()))
    expect((await fetch(url, { method: 'POST', body: 'abc' })).status).to.equal(413)
  })
})
