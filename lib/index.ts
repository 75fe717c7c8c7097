export { attach } from './attach.js'
export { passthroughProxy } from './passthrough-proxy.js'
export type {
  ForwardedMode,
  HeaderList,
  IncomingResponse,
  OutgoingRequest,
  PassthroughProxyOptions,
  RequestHook,
  ResponseHook,
  TargetFunction,
} from './passthrough-proxy.js'
export type { ErrorCode, SluicewayError } from './shared/errors.js'
