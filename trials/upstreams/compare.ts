import { type Answer, ask, type NoAnswer, type Question, statusOf } from './asking.js'
import type { Proxy } from './proxy.js'
import type { Trial } from './trial.js'

/** The two ways to one server. */
export interface Ways {
  readonly trial: Trial
  readonly direct: string
  readonly proxy: Proxy
}

/** Asks each question directly and through the proxy. */
export async function compareAll(ways: Ways, questions: Readonly<Record<string, Question>>): Promise<void> {
  for (const [name, question] of Object.entries(questions)) await compare(ways, name, question)
}

async function compare({ trial, direct, proxy }: Ways, name: string, question: Question): Promise<void> {
  const [one, other] = [await ask(direct, question), await ask(proxy.url, question)]
  if (process.env['SLUICEWAY_VERBOSE']) console.error(name)
  if ('failed' in one) trial.holds(name, isFitting(question, other), () => JSON.stringify(other))
  else trial.same(name, one, other)
}

/**
 * What the server refuses to answer at all is a 502 with us. Where it closes the connection over an upload that it does
 * not read, its answer may be lost to one client, and not to another.
 */
function isFitting({ body }: Question, answer: Answer | NoAnswer): boolean {
  return statusOf(answer) === 502 || (body !== undefined && statusOf(answer) !== 0)
}
