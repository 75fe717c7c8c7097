import { ask, type Question } from './asking.js'
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
  // What the server refuses to answer at all is a 502 with us.
  if ('failed' in one)
    trial.holds(name, 'status' in other && other.status === 502, () => JSON.stringify(other))
  else trial.same(name, one, other)
}
