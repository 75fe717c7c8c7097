import { expressVersions } from '../../test/support/express/express-versions.js'
import { bodies, type MatrixBody } from './bodies.js'
import type { Consumer } from './consumer.js'
import { consumers } from './consumers.js'

/** One request, and who reads its body one after the other. */
export interface MatrixCase {
  readonly express: string
  readonly body: MatrixBody
  readonly framing: 'Content-Length' | 'chunked'
  readonly readers: readonly Consumer[]
}

const framings = ['Content-Length', 'chunked'] as const

/** Every ordered pair of consumers, in each kind and size of body, framing and version of Express that both can read. */
export function allPairs(): MatrixCase[] {
  return pairs(consumers, consumers).flatMap(variantsOf)
}

/** Every ordered pair once. The variants go round, so that each consumer, first or second, has met all of them. */
export function samplePairs(): MatrixCase[] {
  return consumers.flatMap((first, row) =>
    consumers.flatMap((second, column) => {
      const variants = variantsOf([first, second])
      // 7 and 5 share no divisor with the number of variants: 4, or 8, 16, 24.
      return variants.length === 0 ? [] : [variants[(row * 7 + column * 5) % variants.length]!]
    }),
  )
}

/** Each consumer before and after express.raw, in each variant: three readers of one body. */
export function allSandwiches(): MatrixCase[] {
  const between = consumers.filter(({ name }) => name.endsWith(' raw'))
  return pairs(consumers, between).flatMap(([outer, inner]) => variantsOf([outer, inner, outer]))
}

/** Every pair of one of these with a consumer, in each variant. */
export function pairsWith(others: readonly Consumer[]): MatrixCase[] {
  return [...pairs(others, consumers), ...pairs(consumers, others)].flatMap(variantsOf)
}

function pairs(firsts: readonly Consumer[], seconds: readonly Consumer[]): [Consumer, Consumer][] {
  return firsts.flatMap((first) => seconds.map((second): [Consumer, Consumer] => [first, second]))
}

function variantsOf(readers: readonly Consumer[]): MatrixCase[] {
  return expressVersions.flatMap(({ name }) =>
    bodies
      .filter(({ kind }) => readers.every(({ kinds }) => kinds === undefined || kinds.includes(kind)))
      .flatMap((body) =>
        framings
          .filter((one) => readers.every(({ framing }) => framing === undefined || framing === one))
          .map((framing) => ({ express: name, body, framing, readers })),
      ),
  )
}
