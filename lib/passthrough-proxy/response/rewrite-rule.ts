import type { IncomingMessage } from 'node:http'
import { show, wrongKind, type OptionCheck, type OptionName } from '../../shared/options.js'
import { hookError } from '../hooks.js'
import type { Target } from '../target.js'

/**
 * Replaces a URL, a domain or a path in the answers of an upstream. false replaces nothing. true replaces the
 * upstream's own by the client's own. A string replaces the upstream's own. An object replaces the beginning of a
 * value that is a key by the key's value; the first matching key counts. A function returns the replacement, or
 * undefined to keep the value. It must be synchronous.
 */
export type RewriteRule =
  | boolean
  | string
  | Readonly<Record<string, string>>
  | { rewrite(value: string, req: IncomingMessage): string | undefined }['rewrite']

/** One exchange, in which client and upstream use different names. */
export interface Place {
  readonly req: IncomingMessage
  readonly target: Target
  readonly preserveHost: boolean
}

/** Returns the replacement of a value, or undefined to keep it. */
export type Rewrite = (value: string, place: Place) => string | undefined

/** The subject of a rule: URLs, domains or paths. */
export interface RuleKind {
  /** The description of a string of this kind, for error messages. */
  readonly expected: string
  isReplacement(text: string): boolean
  /** Replaces the upstream's own name; without a `replacement`, by the client's name. */
  own(value: string, replacement: string | undefined, place: Place): string | undefined
  /** Replaces the value of an object's key. */
  named(value: string, from: string, to: string): string | undefined
}

/** Accepts a RewriteRule and turns it into one function; undefined if there is nothing to rewrite. */
export function rewriteRule(kind: RuleKind): OptionCheck<Rewrite | undefined> {
  return (given, option) => {
    if (given === undefined || given === false) return undefined
    if (given === true) return (value, place) => kind.own(value, undefined, place)
    if (typeof given === 'function') return asking(given as Ask, option)
    if (isText(given, kind)) return (value, place) => kind.own(value, given, place)
    if (isMap(given)) return lookingUp(replacementsIn(given, option, kind), kind)
    throw wrongKind(option, `true, false, ${kind.expected}, an object with such values, or a function`, given)
  }
}

function isText(given: unknown, kind: RuleKind): given is string {
  return isSendable(given) && kind.isReplacement(given)
}

/** Tells whether a text can be sent in a header. Otherwise Node would refuse the answer, and the upstream be blamed. */
function isSendable(given: unknown): given is string {
  return typeof given === 'string' && /^[\t\x20-\x7e\x80-\xff]*$/.test(given)
}

function isMap(given: unknown): given is Readonly<Record<string, unknown>> {
  return typeof given === 'object' && given !== null && !Array.isArray(given)
}

type Replacement = readonly [from: string, to: string]

function replacementsIn(
  given: Readonly<Record<string, unknown>>,
  option: OptionName,
  kind: RuleKind,
): readonly Replacement[] {
  return Object.entries(given).map(([from, to]) => {
    if (isText(to, kind)) return [from, to]
    const expected = `an object whose values are each ${kind.expected}`
    throw wrongKind(option, expected, to, ` for the key ${show(from)}`)
  })
}

function lookingUp(entries: readonly Replacement[], kind: RuleKind): Rewrite {
  return (value) => {
    for (const [from, to] of entries) {
      const replaced = kind.named(value, from, to)
      if (replaced !== undefined) return replaced
    }
    return undefined
  }
}

type Ask = (value: string, req: IncomingMessage) => unknown

function asking(ask: Ask, { key }: OptionName): Rewrite {
  return (value, { req }) => {
    try {
      return checkedText(ask(value, req))
    } catch (cause) {
      throw hookError(`${key} failed`, cause)
    }
  }
}

function checkedText(answer: unknown): string | undefined {
  if (answer === undefined || isSendable(answer)) return answer
  throw new TypeError(
    `it must return undefined or a string without line breaks and characters beyond latin1, got ${show(answer)}`,
  )
}
