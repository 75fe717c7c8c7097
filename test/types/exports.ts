// Compiled, never run: the exact type of every option, hook and error. An option too many or too few shows here.
import type { ChildProcess } from 'node:child_process'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Http2SecureServer } from 'node:http2'
import type { Server as SecureServer } from 'node:https'
import type { Readable, Transform } from 'node:stream'
import type { CompressionStream, ReadableStream, TransformStream } from 'node:stream/web'
import type { Worker } from 'node:worker_threads'
import { expectTypeOf } from 'expect-type'
import {
  type AttachOptions,
  type AutoFlushOptions,
  type BodyCache,
  type BodyCacheOptions,
  type BodyRefused,
  type BodySpilled,
  type BodyStored,
  type BodyTransform,
  type BufferOptions,
  type ByteSize,
  type ConnectOptions,
  type ChannelMessages,
  type ChildExit,
  type ChildExited,
  type ChildStarted,
  type ErrorCode,
  type ExceptionContained,
  type FailedTarget,
  type FlushStarted,
  type ForwardedMode,
  type HeaderLines,
  type HeaderList,
  type IncomingResponse,
  type MaxBytesLimit,
  type MaxBytesOptions,
  type Middleware,
  type MinRate,
  type NextFunction,
  type ObservedExchange,
  type OutgoingHead,
  type OutgoingRequest,
  type PassthroughProxy,
  type PassthroughProxyOptions,
  type ProxiedRequest,
  type ProxyOutcome,
  type ProxyStats,
  type PipeChildOptions,
  type PipedChild,
  type PseudoTerminal,
  type ReplacementBody,
  type RequestHook,
  type ResponseHook,
  type RewriteRule,
  type SluicewayError,
  type TargetFunction,
  type UpgradeDecided,
  attach,
  autoFlush,
  bodyCache,
  isSluicewayError,
  maxBytes,
  passthroughProxy,
  pipeChild,
} from 'sluiceway'
import type * as Sluiceway from 'sluiceway'

// What can be imported as a value.
expectTypeOf<keyof typeof Sluiceway>().toEqualTypeOf<
  'attach' | 'autoFlush' | 'bodyCache' | 'isSluicewayError' | 'maxBytes' | 'passthroughProxy' | 'pipeChild'
>()

// The factories.
expectTypeOf(maxBytes).parameter(0).toEqualTypeOf<MaxBytesOptions | ByteSize | MaxBytesLimit>()
expectTypeOf(bodyCache).parameter(0).toEqualTypeOf<BodyCacheOptions | ByteSize | undefined>()
expectTypeOf(autoFlush).parameter(0).toEqualTypeOf<AutoFlushOptions | undefined>()
expectTypeOf(passthroughProxy).parameter(0).toEqualTypeOf<string | URL | TargetFunction>()
expectTypeOf(passthroughProxy).parameter(1).toEqualTypeOf<PassthroughProxyOptions | undefined>()
expectTypeOf(passthroughProxy).returns.toEqualTypeOf<PassthroughProxy>()
expectTypeOf<PassthroughProxy>().toExtend<Middleware>()
expectTypeOf<PassthroughProxy['close']>().toEqualTypeOf<() => Promise<void>>()
expectTypeOf<PassthroughProxy['destroy']>().toEqualTypeOf<() => Promise<void>>()
expectTypeOf<PassthroughProxy['stats']>().toEqualTypeOf<ProxyStats>()
expectTypeOf<ProxyStats>().toEqualTypeOf<{ readonly requests: number; readonly tunnels: number }>()
expectTypeOf([maxBytes('1mb'), bodyCache(), autoFlush(), passthroughProxy('http://upstream')]).toEqualTypeOf<
  Middleware[]
>()
expectTypeOf<Parameters<Middleware>>().toEqualTypeOf<
  [req: IncomingMessage, res: ServerResponse, next: NextFunction]
>()
expectTypeOf<NextFunction>().toEqualTypeOf<(error?: unknown) => void>()
expectTypeOf(attach).returns.toEqualTypeOf<() => void>()
expectTypeOf(attach).parameter(2).toEqualTypeOf<AttachOptions | undefined>()
expectTypeOf(attach).parameter(0).toEqualTypeOf<Server | SecureServer | Http2SecureServer>()
expectTypeOf(pipeChild).parameter(1).toEqualTypeOf<PipedChild>()
expectTypeOf<ChildProcess | Worker | PseudoTerminal>().toExtend<PipedChild>()
// As zx and tinyexec declare what they return. A stream of a child, or an array of children, is none.
expectTypeOf<
  Promise<string> & { get child(): ChildProcess | undefined; kill(signal?: NodeJS.Signals): Promise<void> }
>().toExtend<PipedChild>()
expectTypeOf<
  PromiseLike<string> & { process: ChildProcess | undefined; kill(signal?: NodeJS.Signals): boolean }
>().toExtend<PipedChild>()
expectTypeOf<ChildProcess['stdout']>().not.toExtend<PipedChild>()
expectTypeOf<ChildProcess[]>().not.toExtend<PipedChild>()
expectTypeOf<Promise<ChildProcess>>().not.toExtend<PipedChild>()
expectTypeOf(pipeChild).parameter(2).toEqualTypeOf<PipeChildOptions | undefined>()
expectTypeOf(pipeChild).returns.resolves.toEqualTypeOf<ChildExit>()
expectTypeOf<ChildExit>().toEqualTypeOf<{
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}>()

// Their options: these and no others, all but one optional, and undefined means not given.
type Optional<Options> = { readonly [Name in keyof Options]?: Options[Name] | undefined }

expectTypeOf<ByteSize>().toEqualTypeOf<number | string>()
expectTypeOf<MaxBytesLimit>().toEqualTypeOf<(req: IncomingMessage) => ByteSize>()
expectTypeOf<MaxBytesOptions>().toEqualTypeOf<{
  readonly limit: ByteSize | MaxBytesLimit
  readonly lingerMs?: number | undefined
  readonly lingerBytes?: ByteSize | undefined
  readonly minRate?: MinRate | undefined
}>()
expectTypeOf<MinRate>().toEqualTypeOf<{
  readonly bytesPerSecond: ByteSize
  readonly graceMs?: number | undefined
}>()
expectTypeOf<BodyCacheOptions>().toEqualTypeOf<
  Optional<{
    limit: ByteSize
    memory: ByteSize
    memoryBudget: ByteSize
    diskBudget: ByteSize
    directory: string
    parseLimit: ByteSize
    prototypePoisoning: 'error' | 'remove' | 'ignore'
    rawBody: boolean
  }>
>()
expectTypeOf<AttachOptions>().toEqualTypeOf<Optional<{ upgrade: (req: IncomingMessage) => boolean }>>()
expectTypeOf<AutoFlushOptions>().toEqualTypeOf<
  Optional<{
    coalesce: number | 'immediate' | 'tick'
    filter: (req: IncomingMessage, res: ServerResponse) => boolean
    proxyBuffering: boolean
    sync: boolean
    heartbeatMs: number
  }>
>()
expectTypeOf<PipeChildOptions>().toEqualTypeOf<
  Optional<{
    stderr: 'merge' | 'drop' | 'event'
    exit: 'event' | 'trailer' | 'none'
    end: boolean
    stdin: Readable
    killSignal: NodeJS.Signals
    forceKillAfterMs: number
  }>
>()
expectTypeOf<Omit<PassthroughProxyOptions, 'dispatcher'>>().toEqualTypeOf<
  Optional<{
    path: (req: IncomingMessage) => string
    preserveHost: boolean
    forwarded: ForwardedMode
    onRequest: RequestHook
    onResponse: ResponseHook
    rewriteLocation: RewriteRule
    cookieDomain: RewriteRule
    cookiePath: RewriteRule
    connect: ConnectOptions
    connectTimeoutMs: number
    headersTimeoutMs: number
    idleTimeoutMs: number
    maxConnections: number
    maxQueue: number
    maxResponseHeadBytes: ByteSize
    upgrade: readonly string[]
  }>
>()

// The arguments of the proxy's functions.
expectTypeOf<TargetFunction>().returns.toEqualTypeOf<
  string | URL | undefined | null | Promise<string | URL | undefined | null>
>()
expectTypeOf<TargetFunction>().parameter(1).toEqualTypeOf<FailedTarget | undefined>()
expectTypeOf<FailedTarget>().toEqualTypeOf<{
  readonly target: string | URL
  readonly error: SluicewayError
  readonly attempt: number
}>()
expectTypeOf<ForwardedMode>().toEqualTypeOf<'auto' | 'append' | 'replace' | false>()
expectTypeOf<OutgoingRequest>().toEqualTypeOf<{
  method: string
  path: string
  readonly headers: HeaderList
  body: Readable | Buffer | string | null
  pipeThrough(transform: BodyTransform): OutgoingRequest
}>()
expectTypeOf<IncomingResponse>().toEqualTypeOf<{
  statusCode: number
  statusMessage: string
  readonly headers: HeaderList
  decode(): IncomingResponse
  pipeThrough(transform: BodyTransform): IncomingResponse
  buffer(options?: BufferOptions): Promise<Buffer>
  replace(body: ReplacementBody): IncomingResponse
}>()
expectTypeOf<BufferOptions>().toEqualTypeOf<{ readonly limit?: ByteSize | undefined }>()
expectTypeOf<Transform>().toExtend<BodyTransform>()
expectTypeOf<TransformStream<Uint8Array, string>>().toExtend<BodyTransform>()
expectTypeOf<CompressionStream>().toExtend<BodyTransform>()
expectTypeOf<Readable>().not.toExtend<BodyTransform>()
expectTypeOf<Readable | ReadableStream | Buffer | Uint8Array | string | null>().toExtend<ReplacementBody>()
expectTypeOf<HeaderList['get']>().toEqualTypeOf<(name: string) => string | undefined>()
expectTypeOf<HeaderList['getAll']>().toEqualTypeOf<(name: string) => string[]>()
expectTypeOf<HeaderList['set']>().toEqualTypeOf<(name: string, value: string) => void>()
expectTypeOf<keyof HeaderList>().toEqualTypeOf<
  'append' | 'delete' | 'get' | 'getAll' | 'has' | 'lines' | 'set' | typeof Symbol.iterator
>()
expectTypeOf<RequestHook>().toEqualTypeOf<(outgoing: OutgoingRequest, req: IncomingMessage) => unknown>()
expectTypeOf<ResponseHook>().toEqualTypeOf<
  (incoming: IncomingResponse, req: IncomingMessage, res: ServerResponse) => unknown
>()
expectTypeOf<RewriteRule>().toEqualTypeOf<
  | boolean
  | string
  | Readonly<Record<string, string>>
  | ((value: string, req: IncomingMessage) => string | undefined)
>()
expectTypeOf<keyof PassthroughProxyOptions>().extract<'dispatcher'>().toEqualTypeOf<'dispatcher'>()
// @ts-expect-error a hook is a function
passthroughProxy('http://upstream', { onResponse: 'no function' })

// Errors.
expectTypeOf(isSluicewayError).guards.toEqualTypeOf<SluicewayError>()
expectTypeOf<SluicewayError>().toExtend<Error>()
expectTypeOf<SluicewayError['limit']>().toEqualTypeOf<number | undefined>()
expectTypeOf<SluicewayError['issues']>().toEqualTypeOf<readonly unknown[] | undefined>()
expectTypeOf<SluicewayError['expose']>().toEqualTypeOf<boolean>()
expectTypeOf<ErrorCode>().toEqualTypeOf<`ERR_SLUICEWAY_${
  | `BODY_${'TOO_LARGE' | 'TOO_SLOW' | 'ABORTED' | 'ALREADY_READ' | 'RELEASED' | 'MALFORMED' | 'INVALID'}`
  | `STORAGE_${'FULL' | 'FAILED'}`
  | `${'CHARSET' | 'ENCODING'}_UNSUPPORTED`
  | `UPSTREAM_${'UNREACHABLE' | 'RESET' | 'BAD_RESPONSE' | 'TIMEOUT' | 'QUEUE_FULL'}`
  | `PROXY_${'HOOK' | 'BAD_REQUEST' | 'LOOP'}`
  | 'HEAD_CUT'}`>()
expectTypeOf<SluicewayError['status']>().toEqualTypeOf<number>()
expectTypeOf<SluicewayError['statusCode']>().toEqualTypeOf<number>()
expectTypeOf<SluicewayError['type']>().toEqualTypeOf<string | undefined>()
expectTypeOf<SluicewayError['received']>().toEqualTypeOf<number | undefined>()
expectTypeOf<SluicewayError['length']>().toEqualTypeOf<number | undefined>()

// Every request has the type of `bodyCache`, also in Express, with these members.
expectTypeOf<IncomingMessage['bodyCache']>().toEqualTypeOf<BodyCache>()
expectTypeOf<keyof BodyCache>().toEqualTypeOf<
  'blob' | 'buffer' | 'complete' | 'formData' | 'json' | 'size' | 'stream' | 'text' | 'urlencoded' | 'web'
>()
expectTypeOf<BodyCache['stream']>().toEqualTypeOf<() => Readable>()
expectTypeOf<ReturnType<BodyCache['web']>>().toExtend<ReadableStream>()

// Every response has the type of `flush`, also in Express.
expectTypeOf<ServerResponse['flush']>().toEqualTypeOf<() => void>()

// What observers are told.
expectTypeOf<ChannelMessages>().toEqualTypeOf<{
  readonly 'sluiceway:body:refused': BodyRefused
  readonly 'sluiceway:body:spilled': BodySpilled
  readonly 'sluiceway:body:stored': BodyStored
  readonly 'sluiceway:flush': FlushStarted
  readonly 'sluiceway:child:start': ChildStarted
  readonly 'sluiceway:child:exit': ChildExited
  readonly 'sluiceway:upgrade': UpgradeDecided
  readonly 'sluiceway:contained': ExceptionContained
  readonly 'tracing:sluiceway:proxy:start': ProxiedRequest
  readonly 'tracing:sluiceway:proxy:end': ProxiedRequest
  readonly 'tracing:sluiceway:proxy:asyncStart': ProxiedRequest
  readonly 'tracing:sluiceway:proxy:asyncEnd': ProxiedRequest
  readonly 'tracing:sluiceway:proxy:error': ProxiedRequest
}>()
for (const kind of [] as (BodyRefused | BodyStored | FlushStarted | ChildExited | ProxiedRequest)[]) {
  expectTypeOf(kind).toExtend<ObservedExchange>()
}
expectTypeOf<BodyRefused['error']>().toEqualTypeOf<SluicewayError>()
expectTypeOf<ProxiedRequest['outgoing']>().toEqualTypeOf<OutgoingHead | undefined>()
expectTypeOf<ProxiedRequest['outcome']>().toEqualTypeOf<ProxyOutcome | undefined>()
expectTypeOf<ProxyOutcome>().toEqualTypeOf<
  'answered' | 'upgraded' | 'failed' | 'client-left' | 'answered-here'
>()
expectTypeOf<OutgoingHead['headers']>().toEqualTypeOf<HeaderLines>()
// The same as hooks get.
expectTypeOf<HeaderList>().toExtend<HeaderLines>()
