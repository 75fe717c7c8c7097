import fs from 'node:fs'
import path from 'node:path'
import bytes from 'bytes'
import {
  type OptionCheck,
  type OptionChecks,
  type OptionName,
  outOfRange,
  readOptions,
  show,
  wrongKind,
} from './options.js'
import { sizeHint } from './size-hint.js'

/* The checks that options of several middlewares have. */

/** A size: a whole number of bytes, or a number with its unit such as '100kb' or '1.5mb' (1kb is 1024 bytes). */
export type ByteSize = number | string

const SIZE = /^\d+(?:\.\d+)? *(?:b|kb|mb|gb|tb|pb)$/i

/**
 * Accepts a size in bytes, at least `min`. Without a `fallback` the option is required. Infinity is accepted only
 * if `unlimited` is set.
 */
export function byteSize(
  fallback?: ByteSize,
  { unlimited = false, min = 0 }: { readonly unlimited?: boolean; readonly min?: number } = {},
): OptionCheck<number> {
  return (given, option) => {
    const size = parseByteSize(orDefault(given, fallback), option, unlimited)
    if (size < min) throw outOfRange(option, `at least ${min} byte${min === 1 ? '' : 's'}`, given)
    return size
  }
}

/** Parses a size, which may also be the result of a caller's function. */
export function parseByteSize(size: unknown, option: OptionName, unlimited: boolean): number {
  const expected = `a whole number of bytes or a size such as '100kb'${unlimited ? ', or Infinity' : ''}`
  const parsed = typeof size === 'string' && SIZE.test(size) ? bytes.parse(size) : size
  if (typeof parsed !== 'number') {
    throw wrongKind(option, expected, size, sizeHint(size))
  }
  if (Number.isSafeInteger(parsed) ? parsed >= 0 : unlimited && parsed === Infinity) {
    return parsed
  }
  throw outOfRange(option, expected, size)
}

/** Accepts a whole number from `min` up. `unit` and `remark` complete the message. */
export function wholeNumber(fallback: number, min = 0, unit = '', remark = ''): OptionCheck<number> {
  return (given, option) => {
    const expected = `a whole number${unit} from ${min} up${remark}`
    const value = orDefault(given, fallback)
    if (typeof value !== 'number') {
      throw wrongKind(option, expected, given)
    }
    if (!Number.isSafeInteger(value) || value < min) {
      throw outOfRange(option, expected, given)
    }
    return value
  }
}

/** The longest delay of a Node timer; a longer one would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** Accepts a duration in milliseconds. */
export function milliseconds(fallback: number, min = 0, remark = ''): OptionCheck<number> {
  const check = wholeNumber(fallback, min, ' of milliseconds', remark)
  return (given, option) => {
    const value = check(given, option)
    if (value > MAX_TIMER_MS) {
      throw outOfRange(option, `at most ${MAX_TIMER_MS} milliseconds`, given)
    }
    return value
  }
}

/** Accepts a time limit in milliseconds; 0 is none, as for Node's own time limits. */
export function timeLimit(fallback: number): OptionCheck<number> {
  return milliseconds(fallback, 0, ' (0: no limit)')
}

/** Accepts true or false. */
export function flag(fallback: boolean): OptionCheck<boolean> {
  return (given, option) => {
    const value = orDefault(given, fallback)
    if (typeof value !== 'boolean') {
      throw wrongKind(option, 'true or false', given)
    }
    return value
  }
}

/** Accepts one of the listed values. */
export function oneOf<Value>(values: readonly Value[], fallback: Value): OptionCheck<Value> {
  return (given, option) => {
    const value = orDefault(given, fallback)
    if (!values.includes(value as Value)) {
      throw wrongKind(option, `one of ${values.map(show).join(', ')}`, given)
    }
    return value as Value
  }
}

/**
 * Accepts the path of a directory that this process can write to, and returns it in full: the process may change its
 * own directory later. A default is not checked before it is used.
 */
export function writableDirectory(fallback: string): OptionCheck<string> {
  return (given, option) => {
    if (given === undefined) return path.resolve(fallback)
    const expected = 'the path of a directory that can be written to'
    if (typeof given !== 'string') throw wrongKind(option, expected, given)
    if (!isWritableDirectory(given)) throw outOfRange(option, expected, given)
    return path.resolve(given)
  }
}

function isWritableDirectory(name: string): boolean {
  try {
    fs.accessSync(name, fs.constants.W_OK)
    return fs.statSync(name).isDirectory()
  } catch {
    return false
  }
}

/** Accepts a function, or nothing. */
export function callback<Callback extends (...args: never[]) => unknown>(): OptionCheck<
  Callback | undefined
> {
  return (given, option) => {
    if (given !== undefined && typeof given !== 'function') {
      throw wrongKind(option, 'a function', given)
    }
    return given as Callback | undefined
  }
}

/** Accepts an object with options of its own, or nothing. Messages name them `group.option`. */
export function optionGroup<Settings>(checks: OptionChecks<Settings>): OptionCheck<Settings | undefined> {
  return (given, option) => {
    if (given === undefined) return undefined
    if (typeof given !== 'object' || given === null || Array.isArray(given)) {
      throw wrongKind(option, `an object with ${membersOf(checks)}`, given)
    }
    return readOptions(option.owner, given, checks, { group: `${option.key}.` })
  }
}

/** Returns the names of a group's options, in words. */
function membersOf<Settings>(checks: OptionChecks<Settings>): string {
  const names = Object.entries<OptionCheck<unknown>>(checks).map(([key, check]) =>
    isRequired(check) ? key : `${key} (optional)`,
  )
  return names.join(' and ')
}

/** Tells whether an option has no default: its check then refuses `undefined`. */
function isRequired(check: OptionCheck<unknown>): boolean {
  try {
    check(undefined, { owner: '', key: '' })
    return false
  } catch {
    return true
  }
}

/** Replaces `undefined` by the default; `null` is a value, and a wrong one. */
function orDefault(given: unknown, fallback: unknown): unknown {
  return given === undefined ? fallback : given
}
