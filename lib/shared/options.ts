import { closest, distance } from 'fastest-levenshtein'
import { described } from './described.js'
import { withEntry, wrongOption } from './error-page.js'

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
  // Without this, a promise or a Map would pass as an object without options.
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
    throw wrongOption(`${owner}: got ${show(given)} as an extra argument; the call is ${call}`)
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
