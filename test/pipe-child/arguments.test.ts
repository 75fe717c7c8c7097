import { type ChildProcess, exec, execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import { expect } from 'chai'
import { pipeChild } from 'sluiceway'
import { closeServers } from '../support/servers/servers.js'
import { fronts } from './fronts.js'
import { nothingLeft } from './left-behind.js'
import { sh } from './piped.js'

type Call = (res: ServerResponse, child: ChildProcess, req: IncomingMessage) => readonly unknown[]

/** A child that no test may leave behind, and what was given to `pipeChild`. */
const calls: Record<string, [Call, string]> = {
  'the child first': [
    (res, child) => [child, res],
    'the arguments are in the wrong order; the call is pipeChild(res, child)',
  ],
  'the request for the response': [
    (_res, child, req) => [req, child],
    'res must be a response, got a request',
  ],
  'no response': [(_res, child) => [undefined, child], 'res must be a response, got undefined'],
  'the child twice': [(_res, child) => [child, child], 'res must be a response, got a child'],
  'a Worker twice': [
    () => {
      const worker = new Worker('setInterval(() => {}, 1000)', { eval: true })
      return [worker, worker]
    },
    'res must be a response, got a child',
  ],
  'no child': [(res) => [res], 'child must be a child process, a Worker or a pseudo-terminal, got undefined'],
  null: [(res) => [res, null], 'a Worker or a pseudo-terminal, got null'],
  'the request': [(res, _child, req) => [res, req], 'a Worker or a pseudo-terminal, got a request'],
  'the response twice': [(res) => [res, res], 'a Worker or a pseudo-terminal, got a response'],
  'a command': [(res) => [res, 'ls'], 'a Worker or a pseudo-terminal, got "ls"; did you mean spawn("ls")?'],
  spawn: [(res) => [res, spawn], 'a Worker or a pseudo-terminal, got a function'],
  'an object': [(res) => [res, {}], 'a Worker or a pseudo-terminal, got an object'],
  'an answer of fetch': [
    (res) => [res, new Response('text')],
    'a Worker or a pseudo-terminal, got an object',
  ],
  'its output': [
    (res, child) => [res, { stdout: child.stdout, child }],
    'got the result of a command that has ended',
  ],
  'a stream': [
    (res, child) => [res, Object.assign(child.stdout!, { child })],
    'got a stream; pass the child that it belongs to',
  ],
  'the result of spawnSync': [
    (res) => [res, spawnSync('true')],
    'got the result of a command that has ended',
  ],
  'a promise that fails': [
    (res) => [res, Promise.reject(new Error('x'))],
    'got a promise; pass the child itself, and not a promise of its end',
  ],
  'a promise with a child': [
    (res, child) => [res, Object.assign(new Promise(() => {}), { child })],
    'got a promise; pass the child itself, and not a promise of its end',
  ],
  'a promise of an object with a child': [
    (res, child) => [res, Promise.resolve({ child })],
    'got a promise; pass the child itself, and not a promise of its end',
  ],
}

for (const front of fronts) {
  describe(`pipeChild with wrong arguments on ${front.name}`, () => {
    afterEach(closeServers)

    for (const [what, [call, message]] of Object.entries(calls)) {
      it(`${what}: rejects with a TypeError, and ends the child`, async () => {
        const child = sh('sleep 60 & wait')
        const { ask } = await front.serve((req, res) => refused(res, call(res, child, req)))
        const text = await (await ask()).ended()
        expect(text)
          .to.match(/^TypeError: pipeChild: /)
          .and.include(`${message} (see `)
        if (/\bchild\b/.test(call.toString())) await nothingLeft(child)
        else process.kill(-child.pid!)
      })
    }

    for (const [what, call] of Object.entries({
      'the options and the child in the wrong order': (res, child) => [res, { end: false }, child],
      'an array': (res, child) => [res, [child]],
      'an object that holds it under another name': (res, child) => [res, { proc: child }],
      'one without a prototype': (res, child) => [
        res,
        Object.assign(Object.create(null) as object, { proc: child }),
      ],
      'a promise of an array': (res, child) => [res, Promise.resolve([child])],
    } satisfies Record<string, Call>)) {
      it(`${what}: ends the child`, async () => {
        const child = sh('sleep 60 & wait')
        const { ask } = await front.serve((req, res) => refused(res, (call as Call)(res, child, req)))
        expect(await (await ask()).ended()).to.match(/^TypeError: pipeChild: child must be/)
        await nothingLeft(child)
      })
    }

    it('an object with a child that lacks its events: rejects with a TypeError', async () => {
      const odd = { kill: () => true, on: () => odd, exitCode: null, stdout: null, stderr: null }
      const { ask } = await front.serve((_req, res) => refused(res, [res, odd]))
      expect(await (await ask()).ended()).to.match(/^TypeError: pipeChild: child must be/)
    })

    it('a child that another call has: leaves it to that', async () => {
      const child = sh('read line; echo "$line"')
      const { ask } = await front.serve(async (_req, res) => {
        const first = pipeChild(res, child, { end: false })
        for (const args of [
          [res, child],
          [child, res],
          [res, { child }],
        ]) {
          const call = pipeChild as (...args: readonly unknown[]) => Promise<unknown>
          expect(await call(...args).catch((error: Error) => error)).to.be.instanceOf(TypeError)
        }
        child.stdin!.end('alive\n')
        await first
        res.end()
      })
      expect(await (await ask()).ended()).to.equal('alive\n')
    })

    it('the promise of promisify(exec), which no other code handles: ends its child', async () => {
      const promise = promisify(exec)('exec sleep 60')
      const closed = once(promise.child, 'close')
      const { ask } = await front.serve((_req, res) => refused(res, [res, promise]))
      expect(await (await ask()).ended()).to.include('got a promise')
      expect(await closed).to.deep.equal([null, 'SIGTERM'])
      // It rejects by now: a rejection that nobody handles would be a mishap.
      await new Promise(setImmediate)
    })

    it('the promise of promisify(execFile): ends its child', async () => {
      const promise = promisify(execFile)('sleep', ['60'])
      promise.catch(() => {})
      const { ask } = await front.serve((_req, res) => refused(res, [res, promise]))
      expect(await (await ask()).ended()).to.include('got a promise')
      await nothingLeft(promise.child)
      expect(promise.child.signalCode ?? (await signalOf(promise.child))).to.equal('SIGTERM')
    })

    it('a child that comes later, from a promise: ends it', async () => {
      const later = sh('sleep 60 & wait')
      // An async function that returns a child gives such a promise.
      const { ask } = await front.serve((_req, res) => refused(res, [res, (async () => later)()]))
      expect(await (await ask()).ended()).to.include('got a promise')
      await nothingLeft(later)
    })
  })
}

async function refused(res: ServerResponse, given: readonly unknown[]): Promise<void> {
  const call = pipeChild as (...args: readonly unknown[]) => Promise<unknown>
  const error = await call(...given).catch((failure: Error) => failure)
  res.end(`${(error as Error).name}: ${(error as Error).message}`)
}

function signalOf(child: ChildProcess): Promise<NodeJS.Signals | null> {
  return new Promise((resolve) => void child.once('exit', (_code, signal) => resolve(signal)))
}
