import { type Kind, kinds } from './messages.js'
import { Random } from './random.js'

/** An upgrade that is accepted, what stands before it on its connection, and the bytes right behind it. */
export interface TunnelCase {
  readonly before: readonly Kind[]
  readonly ids: readonly string[]
  readonly id: string
  /** Sends the upgrade when everything before it has been answered. */
  readonly waits: boolean
  readonly early: string
}

const earlyBytes = ['', 'words', 'GET /quick/hidden HTTP/1.1\r\nHost: a\r\n\r\n', 'x'.repeat(100_000)]

/** Behind each sequence of up to two messages, in one packet with it and after its answers. */
export function tunnelCases(seed: number): TunnelCase[] {
  const random = new Random(seed)
  const pairs = kinds.flatMap((first) => kinds.map((second) => [first, second]))
  const befores: (readonly Kind[])[] = [[], ...kinds.map((kind) => [kind]), ...pairs]
  return befores.flatMap((before, index) =>
    [false, true].map((waits) => {
      const name = `${waits ? 'w' : 'p'}${index}`
      const ids = before.map((_kind, place) => `${name}-${place}`)
      return { before, ids, id: name, waits, early: random.oneOf(earlyBytes) }
    }),
  )
}

/** Before an upgrade behind these, a server must be able to accept it: their connection lives on, with nothing lost. */
const harmless = new Set([
  'slow GET',
  'quick GET',
  'POST with a length',
  'POST in chunks',
  'POST left unread',
])

/** One response in progress is waited for; behind two, the upgrade is a plain request. */
export function mustBeAccepted({ before, waits }: TunnelCase): boolean {
  return before.every(({ name }) => harmless.has(name)) && (waits || before.length <= 1)
}

export function upgradeMessage({ id, early }: TunnelCase): string {
  return `GET /tunnel/${id} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n${early}`
}
