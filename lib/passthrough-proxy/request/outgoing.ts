import { Readable } from 'node:stream'
import { isPipedInto } from '../../node/streams/pipes.js'
import { showAs } from '../../shared/show-as.js'
import { digestNames } from '../headers/digests.js'
import { HeaderList } from '../headers/header-list.js'
import { type BodyTransform, drop, type Stage, stageOf } from '../hook-bodies/body-transform.js'
import { bytesIn, streamIn } from '../hook-bodies/given-body.js'
import type { OutgoingRequest, ReplacementBody } from '../hooks.js'
import { headersReplaced, refuseNewMembers } from '../refuse-new-members.js'
import { ChangedRequestBody } from './changed-body.js'
import { holdBack } from './hold-back.js'

/** A body as it can be sent. */
type SentBody = Readable | Buffer | string | null

/** The head of a request before a hook changes it. */
interface DraftedHead {
  readonly method: string
  readonly path: string
  readonly lines: string[]
}

/** The request as `onRequest` gets it. It owns each stream that the hook gives it, from the moment it is given. */
export class Outgoing implements OutgoingRequest {
  method: string
  path: string
  private readonly list: HeaderList
  private readonly client: Readable
  private present: SentBody
  /** The streams of the hook. One that is no longer the body may still be the source of the one that is. */
  private given: Set<Readable> | undefined
  /** A private name: a hook may freeze this object, and could then never be released. */
  #isReleased = false

  /** `client` is the client's request, which is the body if it `hasBody`. */
  constructor({ method, path, lines }: DraftedHead, client: Readable, hasBody: boolean) {
    this.method = method
    this.path = path
    this.list = new HeaderList(lines)
    this.client = client
    this.present = hasBody ? client : null
  }

  get headers(): HeaderList {
    return this.list
  }

  set headers(_given: unknown) {
    throw headersReplaced('outgoing')
  }

  get body(): SentBody {
    return this.present
  }

  set body(body: ReplacementBody) {
    if (body === this.present) return
    this.present = body === this.client ? this.client : this.sentBody(body)
    if (this.present !== this.client) this.deleteHeaders('content-encoding', ...digestNames)
  }

  pipeThrough(transform: BodyTransform): this {
    const stage = stageOf(transform)
    if (this.present === null || this.#isReleased) drop(stage.input, stage.output)
    else this.present = this.through(this.present, stage)
    this.deleteHeaders('content-length', ...digestNames)
    return this
  }

  /** Destroys all streams of the hook, including those that it gives later. */
  release(): void {
    this.#isReleased = true
    for (const stream of this.given ?? []) stream.destroy?.()
  }

  private sentBody(body: ReplacementBody): SentBody {
    if (body === null || typeof body === 'string') return body
    const bytes = bytesIn(body)
    if (bytes !== undefined) return bytes
    const stream = this.own(streamIn(body, 'outgoing.body'))
    holdBack(stream)
    // Objects of any kind may come out, and only some of them are bytes. Old copies of Node's streams do not tell.
    const { readableObjectMode: mayBeObjects = true } = stream as Partial<Readable>
    return mayBeObjects ? this.own(new ChangedRequestBody(stream, true)) : stream
  }

  private through(body: Readable | Buffer | string, stage: Stage): ChangedRequestBody {
    const changed =
      body instanceof ChangedRequestBody ? body : this.own(new ChangedRequestBody(body, body !== this.client))
    changed.through(stage)
    return changed
  }

  /** Takes a stream over: until it is sent, no other code listens for its errors. */
  private own<Stream extends Readable>(stream: Stream): Stream {
    stream.on('error', (error: Error) => this.failWith(stream, error))
    this.given = (this.given ?? new Set()).add(stream)
    if (this.#isReleased) stream.destroy?.()
    return stream
  }

  /** Ends the body with the error of its source, because `pipe` passes no errors on. */
  private failWith(source: Readable, error: Error): void {
    const { present } = this
    if (!(present instanceof Readable) || present === source || present === this.client) return
    const first = present instanceof ChangedRequestBody ? present.source : present
    if (first instanceof Readable && isPipedInto(source, first)) present.destroy(error)
  }

  private deleteHeaders(...names: string[]): void {
    for (const name of names) this.headers.delete(name)
  }
}

showAs(Outgoing, ({ method, path, headers, body }) => {
  const isStream = body !== null && typeof body === 'object' && !Buffer.isBuffer(body)
  return { method, path, headers, body: isStream ? 'a stream' : body }
})

refuseNewMembers(
  Outgoing,
  (name) => `outgoing has no ${JSON.stringify(name)}; a hook may set method, path, body and lines of headers`,
)
