import type { ChildProcess } from 'node:child_process'
import type { Worker } from 'node:worker_threads'
import { wrongOption } from '../shared/error-page.js'
import { show } from '../shared/options.js'
import { isPromise } from '../shared/promises.js'
import { ProcessChild } from './children/child-process.js'
import { type PseudoTerminal, TerminalChild } from './children/terminal.js'
import { WorkerChild } from './children/worker.js'
import { discardChild } from './end-child.js'
import type { RunningChild } from './running-child.js'

/** The children that `pipeChild` accepts. */
export type PipedChild = Child | StartedCommand

/** A child itself. */
export type Child = ChildProcess | Worker | PseudoTerminal

/** A promise of zx, which has its child as `child`, or a result of tinyexec, which has it as `process`. */
export type StartedCommand = { kill(signal?: NodeJS.Signals): unknown } & (
  | { readonly child: ChildProcess | undefined }
  | { readonly process: ChildProcess | undefined }
)

type Given = Readonly<Record<string, unknown>>

const EMITTER = ['on', 'off', 'listenerCount'] as const

/** Wraps a child, which is recognized by its methods, because libraries have classes of their own. */
export function recognizeChild(given: unknown): RunningChild | undefined {
  if (isTerminal(given)) return new TerminalChild(given)
  if (isWorker(given)) return new WorkerChild(given)
  return isProcess(given) ? new ProcessChild(given) : undefined
}

/**
 * Returns the child itself. A promise of zx has the methods of a child, but not its events; its `child` has both. The
 * result of tinyexec has `process`, and must not be awaited: it reads the output itself from then on.
 */
export function unwrapChild(given: unknown): unknown {
  if (isChild(given) || !isObject(given) || !hasMethods(given, 'kill')) return given
  const { child, process } = given
  if (!isProcess(child)) return isProcess(process) ? process : given
  void settled(given)
  return child
}

function isChild(given: unknown): given is Child {
  return isTerminal(given) || isWorker(given) || isProcess(given)
}

function isTerminal(given: unknown): given is PseudoTerminal {
  return isObject(given) && hasMethods(given, 'onData', 'onExit')
}

function isWorker(given: unknown): given is Worker {
  return isObject(given) && hasMethods(given, 'terminate', 'postMessage', ...EMITTER)
}

function isProcess(given: unknown): given is ChildProcess {
  return isObject(given) && hasMethods(given, 'kill', ...EMITTER) && 'exitCode' in given
}

/** Returns a description of the wrong argument of a call, or undefined. */
export function wrongArguments(res: unknown, child: unknown): string | undefined {
  if (!isResponse(res)) {
    if (isResponse(child)) return 'the arguments are in the wrong order; the call is pipeChild(res, child)'
    return `res must be a response, got ${describe(res)}`
  }
  if (!isChild(child)) {
    return `child must be a child process, a Worker or a pseudo-terminal, got ${describe(child)}${hintAbout(child)}`
  }
  return undefined
}

/** Throws if the child lacks a pipe that is needed. Without output, the response would be an empty 200. */
export function requirePipes({ stdin, stdout, stderr }: RunningChild, options: NeededPipes): void {
  if (options.stdin !== undefined && stdin === null) {
    throw wrongOption(
      'pipeChild: option "stdin" needs a child with a stdin of its own; spawn it with stdio "pipe"',
    )
  }
  if (stdout === undefined && (stderr === undefined || options.stderr === 'drop')) {
    throw wrongOption(
      'pipeChild: the child has no output to read; spawn it with stdio "pipe", not "ignore" or "inherit", or fork it with silent: true',
    )
  }
}

interface NeededPipes {
  readonly stdin: unknown
  readonly stderr: 'merge' | 'drop' | 'event'
}

/**
 * Ends the children in rejected arguments, so that none is left behind, including those in an array, in a plain
 * object, and in the result of a promise.
 */
export async function discardChildrenIn(given: unknown): Promise<void> {
  if (!isObject(given)) return
  const promised = isPromise(given) ? settled(given) : undefined
  const found = [given, given['child'], ...valuesOf(given)].map(unwrapChild).filter(isChild)
  await Promise.all(found.map(discardGiven))
  if (promised !== undefined) await discardChildrenIn(await promised)
}

/** Ends the child of a rejected call, unless another call has it. */
export async function discardGiven(child: Child): Promise<void> {
  if (!claimed.has(child)) await discardChild(recognizeChild(child) as RunningChild)
}

/** The children of calls. Each call ends its own, also after it has settled. */
const claimed = new WeakSet<Child>()

/** Keeps a child from being ended by another call. */
export function claim(child: Child): void {
  claimed.add(child)
}

function valuesOf(given: Given): unknown[] {
  const prototype: unknown = Object.getPrototypeOf(given)
  return Array.isArray(given) || prototype === Object.prototype || prototype === null
    ? Object.values(given)
    : []
}

function settled(promise: unknown): Promise<unknown> {
  return Promise.resolve(promise).catch(() => undefined)
}

function describe(given: unknown): string {
  if (!isObject(given)) return show(given)
  if (isResponse(given)) return 'a response'
  if ('headers' in given && 'socket' in given) return 'a request'
  if (hasMethods(given, 'kill') || hasMethods(given, 'terminate')) return 'a child'
  if (isPromise(given)) return 'a promise'
  if (hasMethods(given, 'pipe')) return 'a stream'
  if ('stdout' in given) return 'the result of a command that has ended'
  return 'an object'
}

function hintAbout(child: unknown): string {
  if (typeof child === 'string') return `; did you mean spawn(${show(child)})?`
  if (isPromise(child)) return '; pass the child itself, and not a promise of its end'
  return describe(child) === 'a stream' ? '; pass the child that it belongs to' : ''
}

function isResponse(given: unknown): boolean {
  return isObject(given) && hasMethods(given, 'setHeader', 'writeHead', 'write', 'end')
}

function isObject(given: unknown): given is Given {
  return typeof given === 'object' && given !== null
}

function hasMethods(given: Given, ...names: readonly string[]): boolean {
  return names.every((name) => typeof given[name] === 'function')
}
