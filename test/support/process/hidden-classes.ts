import { setFlagsFromString } from 'node:v8'
import { runInThisContext } from 'node:vm'

/** Asks V8 about objects; only a flag makes its parser know the question. */
function askV8(question: string, ...objects: readonly object[]): boolean {
  setFlagsFromString('--allow-natives-syntax')
  try {
    const ask = runInThisContext(`(one, other) => ${question}`) as (...objects: readonly object[]) => boolean
    return ask(...objects)
  } finally {
    setFlagsFromString('--no-allow-natives-syntax')
  }
}

export const haveSameClass = (one: object, other: object): boolean =>
  askV8('%HaveSameMap(one, other)', one, other)

export const isFast = (object: object): boolean => askV8('%HasFastProperties(one)', object)
