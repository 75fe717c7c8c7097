import fs from 'node:fs'
import path from 'node:path'
import bytes from 'bytes'
import { closest, distance } from 'fastest-levenshtein'
import { described } from './described.js'
import { withEntry, wrongOption } from './error-page.js'
import { sizeHint } from './size-hint.js'

/** A size: a whole number of bytes, or a number with its unit such as '100kb' or '1.5mb' (1kb is 1024 bytes). */
export type ByteSize = number | string

/** Names an option in error messages: `maxBytes: option "limit" must be …`. */
export interface OptionName {
  readonly owner: string
  readonly key: string
  /** True if the option is a function, and its result is wrong. */
  readonly isResult?: boolean
}

/** Turns the value given by a caller into the value used by the middleware, or throws. */
export type OptionCheck<Value> = (given: unknown, option: OptionName) => Value

/** One check for each setting. */
export type OptionChecks<Settings> = { readonly [Key in keyof Settings]-?: OptionCheck<Settings[Key]> }

/**
 * Options of other packages for the same task, each with the clause that says how it is done here. It completes the
 * message of an unknown option, so that users who move over need not guess.
 */
export type NamesElsewhere = Readonly<Record<string, string>>

/** The names that `readOptions` needs for its messages. */
interface Names {
  /** Precedes the names of options within an option. */
  readonly group?: string
  readonly elsewhere?: NamesElsewhere
  /** Replaces the list of all options in a message if there are too many. */
  readonly others?: string
}

const SIZE = /^\d+(?:\.\d+)? *(?:b|kb|mb|gb|tb|pb)$/i

/**
 * Checks all options of one factory call and returns its frozen settings. `undefined` means absent.
 * @throws TypeError for a wrong kind or an unknown key, RangeError for a number out of range.
 */
export function readOptions<Settings>(
  owner: string,
  options: unknown,
  checks: OptionChecks<Settings>,
  names: Names = {},
): Readonly<Settings> {
  const { group = '' } = names
  const given = requireObject(owner, options === undefined ? {} : options)
  rejectUnknownKeys(owner, given, Object.keys(checks), names)
  const entries = Object.entries<OptionCheck<unknown>>(checks).map(([key, check]) => [
    key,
    check(given[key], { owner, key: group + key }),
  ])
  return Object.freeze(Object.fromEntries(entries)) as Readonly<Settings>
}

function requireObject(owner: string, options: unknown): Record<string, unknown> {
  // Without this, a promise or a Map would count as options of which none is set.
  if (!OBJECTS.has(Object.prototype.toString.call(options))) {
    throw wrongOption(`${owner}: options must be an object, got ${show(options)}`)
  }
  rejectRequest(owner, options)
  return options as Record<string, unknown>
}

/** Objects with properties of any kind, instances of an application's classes included. */
const OBJECTS = new Set(['[object Object]', '[object Module]'])

/** Throws if a factory was mounted without being called: `app.use(maxBytes)`. */
export function rejectRequest(owner: string, options: unknown): void {
  if (isRequest(options)) {
    throw wrongOption(
      `${owner}: got a request instead of options; did you mean app.use(${owner}(…)) rather than app.use(${owner})?`,
    )
  }
}

/**
 * Throws if a call has an argument behind its last one, which would be ignored: `maxBytes('1mb', { lingerMs: 0 })`.
 * Declared as `...further: undefined[]`, it also keeps the types of Express from accepting `app.use(maxBytes)`, which has
 * the form of an error handler to them.
 */
export function rejectFurther(owner: string, further: readonly unknown[], call: string): void {
  const given = further.find((each) => each !== undefined)
  if (given !== undefined) {
    throw wrongOption(`${owner}: got ${show(given)} as a further argument; the call is ${call}`)
  }
}

/** Recognizes the request that Express gives to a function that was mounted by mistake. */
export function isRequest(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'socket' in value && 'headers' in value
}

/** Throws if names are not known: suggests what was probably meant by the first, and lists the others. */
export function rejectUnknownKeys(
  owner: string,
  given: object,
  known: readonly string[],
  { group = '', elsewhere = {}, others }: Names,
): void {
  const [key, ...further] = Object.keys(given).filter((name) => !known.includes(name))
  if (key === undefined) return
  const remedy = Object.hasOwn(elsewhere, key) ? elsewhere[key] : hint(key, known, group, others)
  const rest =
    further.length > 0 ? `; also unknown: ${further.map((name) => show(group + name)).join(', ')}` : ''
  throw wrongOption(`${owner}: unknown option ${show(group + key)}; ${remedy}${rest}`)
}

/** Suggests the option that was probably meant, or lists all of them if none is spelled alike. */
function hint(key: string, known: readonly string[], group: string, others?: string): string {
  const nearest = closest(key, known)
  const isAlike = distance(key.toLowerCase(), nearest.toLowerCase()) <= Math.max(1, key.length / 3)
  return isAlike
    ? `did you mean ${show(group + nearest)}?`
    : (others ?? `the options are ${known.map((name) => group + name).join(', ')}`)
}

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

/** Describes a value of the wrong kind; `meant` is a clause that says what was probably meant. */
export function wrongKind(option: OptionName, expected: string, given: unknown, meant = ''): TypeError {
  return wrongOption(complaint(option, expected, given) + meant)
}

/** Describes a number that is out of range. */
export function outOfRange(option: OptionName, expected: string, given: unknown): RangeError {
  return new RangeError(withEntry(complaint(option, expected, given), 'a-wrong-option'))
}

function complaint({ owner, key, isResult }: OptionName, expected: string, given: unknown): string {
  const subject = isResult === true ? `the result of your function "${key}"` : `option "${key}"`
  return `${owner}: ${subject} must be ${expected}, got ${show(given)}`
}

/** Shows a value in an error message: for an object only its kind, because it may hold a password. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'bigint') return `${value}n`
  const isPlain = typeof value === 'number' || typeof value === 'boolean'
  return isPlain ? String(value) : described(value)
}
