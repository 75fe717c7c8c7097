import { once } from 'node:events'
import type { Socket } from 'node:net'
import { RawClient } from '../../test/support/clients/raw-client.js'
import { closeServers } from '../../test/support/servers/servers.js'
import type { Failures } from './failures.js'
import { kinds } from './messages.js'
import type { MishapLog } from './mishap-log.js'
import { Random } from './random.js'
import { startServer, variants } from './sequence-servers.js'

/** Kinds whose connection lives on, with `attach` too. */
const lasting = new Set([
  'slow GET',
  'quick GET',
  'POST with a length',
  'POST in chunks',
  'POST left unread',
  'h2c',
  'upgrade with a body',
  'upgrade with chunks',
])
const [FEW, MANY] = [10, 60]

/** Sends many messages over one connection, one after the other and in pairs: its listeners must not pile up. */
export async function countListeners(
  _log: MishapLog,
  failures: Failures,
  hosts: readonly string[],
  seed: number,
): Promise<number> {
  const random = new Random(seed)
  for (const host of hosts) {
    for (const mounted of variants.filter((names) => names.includes('attach'))) {
      const { server, port } = await startServer(host, mounted)
      const connected = once(server, 'connection')
      const client = await RawClient.connect(port)
      const [socket] = (await connected) as [Socket]
      await exchange(client, random, FEW)
      const few = listenersOf(socket)
      await exchange(client, random, MANY)
      const many = listenersOf(socket)
      if (few !== many) failures.count(`${host}, ${mounted.join(' + ')}: ${few} became ${many}`)
      client.destroy()
      await closeServers()
    }
  }
  return hosts.length * (variants.length - 1) * (FEW + MANY)
}

/**
 * Sends pairs, the last of plain messages, so that the connection is as idle each time. Nothing is sent right behind an
 * upgrade: with bytes that were given back to the parser, the next upgrade is the last message of its connection.
 */
async function exchange(client: RawClient, random: Random, count: number): Promise<void> {
  const choice = kinds.filter(({ name }) => lasting.has(name))
  const plain = choice.filter(({ isUpgrade }) => isUpgrade !== true)
  for (let sent = 0; sent < count; sent += 2) {
    const isLast = sent + 2 >= count
    const pair = [random.oneOf(plain), isLast ? kinds[1]! : random.oneOf(choice)]
    client.write(pair.map((kind, place) => kind.bytes(`${sent}-${place}`)).join(''))
    for (const _kind of pair) await client.response()
  }
}

function listenersOf(socket: Socket): string {
  return socket
    .eventNames()
    .map((event) => `${socket.listenerCount(event)} ${String(event)}`)
    .toSorted()
    .join(', ')
}
