import type { ChildProcess } from 'node:child_process'
import type { Worker } from 'node:worker_threads'
import { wrongOption } from '../shared/error-page.js'
import { show } from '../shared/options.js'
import { ProcessChild } from './children/child-process.js'
import { type PseudoTerminal, TerminalChild } from './children/terminal.js'
import { WorkerChild } from './children/worker.js'
import { discardChild } from './end-child.js'
import type { RunningChild } from './running-child.js'

/** The children that `pipeChild` accepts. */
export type PipedChild = ChildProcess | Worker | PseudoTerminal

type Given = Readonly<Record<string, unknown>>

/** Recognizes a child by its methods, because libraries have classes of their own. */
export function recognizeChild(given: unknown): RunningChild | undefined {
  if (!isObject(given)) return undefined
  if (hasMethods(given, 'onData', 'onExit')) return new TerminalChild(given as unknown as PseudoTerminal)
  if (hasMethods(given, 'terminate', 'postMessage')) return new WorkerChild(given as unknown as Worker)
  if (hasMethods(given, 'kill', 'on') && 'exitCode' in given) {
    return new ProcessChild(given as unknown as ChildProcess)
  }
  return undefined
}

/** Returns a description of the wrong argument of a call, or undefined. */
export function wrongArguments(
  res: unknown,
  child: unknown,
  running: RunningChild | undefined,
): string | undefined {
  if (!isResponse(res)) {
    if (isResponse(child)) return 'the arguments are in the wrong order; the call is pipeChild(res, child)'
    return `res must be a response, got ${describe(res)}`
  }
  if (running === undefined) {
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

/** Ends the children in rejected arguments, so that none is left behind. A promise may resolve to one later. */
export async function discardChildrenIn(given: unknown): Promise<void> {
  if (!isObject(given)) return
  const child = recognizeChild(given) ?? recognizeChild(given['child'])
  if (child !== undefined) await discardChild(child)
  else if (isPromise(given)) await discardChildrenIn(await settled(given))
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
  if (!isObject(child)) return ''
  if (isPromise(child)) return '; pass the child itself, and not what tells of its end'
  return hasMethods(child, 'pipe') ? '; pass the child that it belongs to' : ''
}

function isResponse(given: unknown): boolean {
  return isObject(given) && hasMethods(given, 'setHeader', 'writeHead', 'write', 'end')
}

function isPromise(given: Given): boolean {
  return hasMethods(given, 'then')
}

function isObject(given: unknown): given is Given {
  return typeof given === 'object' && given !== null
}

function hasMethods(given: Given, ...names: readonly string[]): boolean {
  return names.every((name) => typeof given[name] === 'function')
}
