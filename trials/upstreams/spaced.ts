import { setTimeout as sleep } from 'node:timers/promises'
import { inParallel } from '../hostile/in-parallel.js'
import { ask, type Question, statusOf } from './asking.js'
import { type Proxy, takeCodes } from './proxy.js'
import type { Trial } from './trial.js'

const TIMES = 200
const AT_ONCE = 40

/**
 * 200 requests, each about as long behind the last one as the server keeps an idle connection: it often ends one just
 * when the next request is on its way.
 */
export async function spacedRequests(
  trial: Trial,
  proxy: Proxy,
  keptMs: number,
  question: Question = {},
): Promise<void> {
  const statuses: number[] = []
  const numbers = Array.from({ length: TIMES }, (_, number) => number)
  await inParallel(AT_ONCE, numbers, async (number) => {
    await sleep(keptMs - 20 + (number % AT_ONCE))
    statuses.push(statusOf(await ask(proxy.url, question)))
  })
  const lost = statuses.filter((status) => status !== 200)
  const name = `${TIMES} × ${question.method ?? 'GET'} at the end of a keep-alive of ${keptMs} ms`
  trial.holds(
    name,
    lost.length === 0,
    () =>
      `${lost.length} lost: ${[...new Set(lost)].join(', ')}; ${[...new Set(takeCodes(proxy))].join(', ')}`,
  )
}
