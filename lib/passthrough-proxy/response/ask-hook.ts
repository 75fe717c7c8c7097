import { isError } from '../../shared/is-error.js'
import { type ResponseHook, runResponseHook } from '../hooks.js'
import { ChangedBody, type ChangedBodyParts } from './changed-body.js'
import { requireFraming } from './required-framing.js'

/**
 * Runs `onResponse`. Returns undefined if it has ended and left the body alone, which is then passed on as it comes.
 */
export function askHook(hook: ResponseHook, parts: ChangedBodyParts): ChangedBody | undefined {
  const { incoming, client } = parts
  const announced = incoming.headers.getAll('content-length')
  try {
    const pending = runResponseHook(hook, incoming, client)
    if (pending === undefined && incoming.isUntouched) incoming.settle()
    const isPlain = pending === undefined && incoming.isUntouched
    if (!isPlain) return new ChangedBody(parts, announced, pending)
    requireFraming(incoming, announced, client.req.method)
    return undefined
  } catch (error) {
    incoming.release(isError(error) ? error : undefined)
    throw error
  }
}
