/** Failures in words: what happened, with which code, and what to do about it. */

export interface FailureWords {
  readonly what: string
  /** The status and code, as one would search for them. */
  readonly code?: string
  readonly remedy: string
}

/** What a route of the playground answers with a failure. */
export interface FailureBody {
  readonly error?: string
  readonly code?: string
  readonly issues?: readonly { readonly path?: readonly unknown[]; readonly message: string }[]
}

/** A failure that a panel can already tell in words. */
export class PanelFailure extends Error {
  readonly words: FailureWords

  constructor(words: FailureWords) {
    super(words.what)
    this.words = words
  }
}

const remedies: Readonly<Record<string, string>> = {
  ERR_SLUICEWAY_BODY_TOO_LARGE: 'Send less, or raise the limit of this route.',
  ERR_SLUICEWAY_BODY_MALFORMED: 'Mend the JSON: it ends too early, or a comma or quote is missing.',
  PROTOTYPE_POISONING:
    'Remove the key “__proto__”, or “prototype” in “constructor”: objects made of it could change all others.',
  ERR_SLUICEWAY_BODY_INVALID: 'Change the fields named above to what the schema asks for, and post again.',
  ERR_SLUICEWAY_UPSTREAM_UNREACHABLE: 'Start the server behind the proxy, and look at its address.',
  ERR_SLUICEWAY_UPSTREAM_RESET: 'Look at the log of the server behind the proxy: it hung up.',
  SIGNATURE_MISMATCH: 'Untick “change one byte”, and post again.',
  NOT_LOGGED_IN: 'Tick “I am logged in”, and connect again.',
  OTHER_ORIGIN: 'Open the page under the name that its server knows, without a proxy that changes Host.',
}

export const serverGone: FailureWords = {
  what: 'The playground’s server gives no answer.',
  code: 'no HTTP status: the connection failed',
  remedy: 'Start it again with “npm start” in its terminal, then press the button once more.',
}

/** Says in words why a request failed. */
export function describeFailure(error: unknown): FailureWords {
  if (error instanceof PanelFailure) return error.words
  if (error instanceof TypeError && /fetch|network|load/i.test(error.message)) return serverGone
  return {
    what: error instanceof Error ? error.message : String(error),
    remedy: 'Reload the page and try again; the console of your browser has the details.',
  }
}

/** The words for an answer below 200 or above 299. */
export function describeAnswer(status: number, reason: string, body: FailureBody): FailureWords {
  const details = (body.issues ?? []).map(({ path = [], message }) => `${path.join('.')}: ${message}`)
  const what = [body.error ?? 'The server refused', ...details].join('. ')
  return {
    what: `${what.charAt(0).toUpperCase()}${what.slice(1)}.`,
    code: [`${status} ${reason}`.trim(), body.code].filter(Boolean).join(' · '),
    remedy: remedies[keyOf(body)] ?? remedyFor(status),
  }
}

/** The code, and where it has two causes the one that the message tells. */
function keyOf({ code = '', error = '' }: FailureBody): string {
  return /prototype/.test(error) ? 'PROTOTYPE_POISONING' : code
}

function remedyFor(status: number): string {
  if (status >= 500) return 'Look at the terminal where the playground runs: it has the cause.'
  return 'Change the request as the message says, and send it again.'
}

/** Reads an answer as JSON; an answer that is a failure is thrown, in words. */
export async function readJson<Value>(response: Response): Promise<Value> {
  const text = await response.text()
  if (response.ok) return JSON.parse(text) as Value
  throw new PanelFailure(describeAnswer(response.status, response.statusText, parseFailure(text)))
}

/** What a failure's body says, whatever it is. */
export function parseFailure(text: string): FailureBody {
  try {
    return JSON.parse(text) as FailureBody
  } catch {
    return { error: text.slice(0, 200) }
  }
}
