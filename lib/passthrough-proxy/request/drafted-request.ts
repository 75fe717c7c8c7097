import type { Readable } from 'node:stream'

import { type BodyTransform, drop, type Stage, stageOf } from '../body-transform.js'
import { digestNames } from '../digests.js'
import { HeaderList } from '../header-list.js'
import type { OutgoingRequest } from '../hooks.js'
import { ChangedBody } from './changed-body.js'

/** The request as `onRequest` gets it. */
export class DraftedRequest implements OutgoingRequest {
  method: string
  path: string
  readonly headers: HeaderList
  body: Readable | Buffer | string | null
  /** The client's body. */
  private readonly own: Readable | null
  private changed: Set<ChangedBody> | undefined
  private isReleased = false

  constructor(method: string, path: string, lines: string[], body: Readable | null) {
    this.method = method
    this.path = path
    this.headers = new HeaderList(lines)
    this.body = body
    this.own = body
  }

  pipeThrough(transform: BodyTransform): this {
    const stage = stageOf(transform)
    if (this.body === null || this.isReleased) drop(stage)
    else this.body = this.through(this.body, stage)
    for (const name of ['content-length', ...digestNames]) this.headers.delete(name)
    return this
  }

  private through(body: Readable | Buffer | string, stage: Stage): ChangedBody {
    const changed = body instanceof ChangedBody ? body : new ChangedBody(body, body !== this.own)
    this.changed = (this.changed ?? new Set()).add(changed)
    changed.through(stage)
    return changed
  }

  /** Destroys the transforms of bodies in whose place the hook has given another one. */
  releaseOthers(): void {
    for (const changed of this.changed ?? []) if (changed !== this.body) changed.destroy()
  }

  /** Destroys all transforms, also those that the hook gives later. */
  release(): void {
    this.isReleased = true
    for (const changed of this.changed ?? []) changed.destroy()
  }
}
