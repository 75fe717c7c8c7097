import { createServer } from 'node:http'
import { expect } from 'chai'
import { attach, autoFlush, bodyCache, maxBytes, passthroughProxy } from 'sluiceway'

type Call = (...given: unknown[]) => unknown

const app = (): void => {}

/** Each function with the arguments that it takes, and the call that its error shows. */
const calls: readonly (readonly [call: unknown, taken: readonly unknown[], shown: string])[] = [
  [maxBytes, ['1mb'], 'maxBytes({ limit, … })'],
  [maxBytes, [{ limit: '1mb' }], 'maxBytes({ limit, … })'],
  [bodyCache, ['1mb'], 'bodyCache({ limit, … })'],
  [bodyCache, [undefined], 'bodyCache({ limit, … })'],
  [autoFlush, [{}], 'autoFlush(options)'],
  [passthroughProxy, ['http://127.0.0.1:9', {}], 'passthroughProxy(target, options)'],
  [attach, [createServer(), app, {}], 'attach(server, app, options)'],
]

describe('an argument behind the last one', () => {
  for (const [call, taken, shown] of calls) {
    const { name } = call as Call
    it(`is refused, because its settings would be ignored: ${name}(${taken.length} of them)`, () => {
      for (const [given, described] of [
        [{ lingerMs: 0 }, 'an object'],
        [null, 'null'],
        [0, '0'],
      ] as const) {
        expect(() => (call as Call)(...taken, given)).to.throw(
          TypeError,
          `${name}: got ${described} as an extra argument; the call is ${shown} (see docs/errors.md#a-wrong-option)`,
        )
      }
      expect(() => (call as Call)(...taken, undefined)).not.to.throw()
    })
  }
})
