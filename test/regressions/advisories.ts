// What other proxies, body parsers and body limits were found vulnerable to. Each advisory has a file of its own, named after
// it, which replays it as bytes. Where a whole table of such messages is tested elsewhere, the one that gave rise to it is here.
import { type IncomingMessage } from 'node:http'
import { expect } from 'chai'
import { bodyCache, type BodyCacheOptions } from 'sluiceway'
import { RawClient } from '../support/clients/raw-client.js'
import { type Handler, hosts } from '../support/express/hosts.js'
import { proxied, unmarked, type Proxied } from '../support/servers/proxied.js'
import { serve } from '../support/servers/servers.js'

const { mount } = hosts[0]!

export const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n'

/** The header lines that the upstream saw, in lower case, without those that every request has. */
export function linesOf(seen: string): string[] {
  const [, , , ...lines] = seen.toLowerCase().trimEnd().split('\r\n')
  return unmarked(lines)
}

type HookOptions = NonNullable<Parameters<typeof proxied>[0]>

type HookChange = (outgoing: Parameters<NonNullable<HookOptions['onRequest']>>[0]) => unknown

export function fail(): never {
  throw new Error('secret')
}

export async function rejecting(): Promise<never> {
  return fail()
}

/** Answers the next request that reaches the upstream, and gives what the client gets. */
export async function answeredBy(
  upstream: Proxied['upstream'],
  client: RawClient,
): ReturnType<RawClient['response']> {
  const connection = await upstream.connection()
  await connection.untilText('\r\n\r\n')
  connection.write('HTTP/1.1 200 OK\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n')
  return client.response()
}

/** A client of a server with these handlers; the last one answers with what `read` gives. */
export async function reading(
  read: (req: IncomingMessage) => Promise<unknown>,
  ...before: readonly Handler[]
): Promise<RawClient> {
  const last: Handler = (req, res, next) => {
    read(req).then((value) => res.end(JSON.stringify(value)), next)
  }
  return RawClient.connect((await serve(mount(...before, last))).port)
}

/** The status of one POST, whose body a bodyCache accessor reads, and what it gave. */
export async function posted(
  read: (req: IncomingMessage) => Promise<unknown>,
  body: string | Buffer,
  headers: Record<string, string> = {},
  options: BodyCacheOptions = {},
): Promise<{ status: number; text: string }> {
  const client = await reading(read, bodyCache(options))
  client.request('POST', '/', headers, body)
  const response = await client.response()
  client.destroy()
  return { status: response.status, text: response.body.toString() }
}

/** Tests that what a hook changes leads to no second request, and nowhere else. */
export function smugglesNothing(change: HookChange): void {
  it(`${String(change)} smuggles nothing and leads nowhere else`, async () => {
    const { client, upstream, errors } = await proxied({ onRequest: (outgoing) => void change(outgoing) })
    client.request('POST', '/', {}, 'body')
    const response = await Promise.race([client.response(), answeredBy(upstream, client)])
    if (response.status === 200) expect(String(change)).to.contain("'//evil.example/'")
    else expect(errors[0]).to.have.property('code', 'ERR_SLUICEWAY_PROXY_HOOK')
  })
}

/** Expects that a form with this part, in all states of being cut, is read or refused. */
export async function expectAnswered(part: string): Promise<void> {
  const headers = { 'Content-Type': 'multipart/form-data; boundary=x' }
  const read = async (req: IncomingMessage): Promise<unknown> => [...(await req.bodyCache.formData()).keys()]
  for (const body of [`--x\r\n${part}`, `--x\r\n${part}\r\n--x--\r\n`, `${part}--x--`]) {
    expect((await posted(read, body, headers)).status).to.be.oneOf([200, 400])
  }
}
