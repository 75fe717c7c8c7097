import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { load } from './packages.js'

/** What a host is asked to give to an application. */
export interface Request {
  readonly method: string
  readonly path: string
  readonly type?: string
  readonly body?: Buffer
}

/** What the application answered. */
export interface Answer {
  readonly status: number
  readonly text: string
}

/** Calls an application with a request of its own making. */
export type Call = (application: RequestListener, request: Request) => Promise<Answer>

/** A host: the package it comes from, and how to call an application through it. */
export interface Host {
  readonly from: string
  readonly start: () => Promise<Call>
}

/** The headers that a client sends with a body. */
function headersOf({ type, body }: Request): Record<string, string> {
  if (body === undefined) return {}
  return { 'content-type': type ?? 'application/octet-stream', 'content-length': String(body.length) }
}

/** An event of Amazon API Gateway (HTTP API, payload format 2.0). */
function gatewayEvent(request: Request): object {
  const { method, path, body } = request
  return {
    version: '2.0',
    routeKey: '$default',
    rawPath: path,
    rawQueryString: '',
    headers: { host: 'lambda', ...headersOf(request) },
    requestContext: {
      http: { method, path, protocol: 'HTTP/1.1', sourceIp: '127.0.0.1' },
      stage: '$default',
    },
    ...(body === undefined ? {} : { body: body.toString('base64') }),
    isBase64Encoded: body !== undefined,
  }
}

interface GatewayAnswer {
  readonly statusCode: number
  readonly body: string
  readonly isBase64Encoded?: boolean
}

function answerOf({ statusCode, body, isBase64Encoded = false }: GatewayAnswer): Answer {
  return { status: statusCode, text: isBase64Encoded ? Buffer.from(body, 'base64').toString() : body }
}

type Handler = (event: object, context: object) => Promise<GatewayAnswer>

/** Hosts that make a request without a connection, by the name of the package. */
export const hosts: Readonly<Record<string, Host>> = {
  'node:http': { from: 'node', start: async () => overHttp },
  'serverless-http': {
    from: 'serverless-http',
    start: async () => {
      const { default: serverless } = await load<{ default: (app: RequestListener) => Handler }>(
        'serverless-http',
      )
      return async (app, request) => answerOf(await serverless(app)(gatewayEvent(request), {}))
    },
  },
  '@codegenie/serverless-express': {
    from: '@codegenie/serverless-express',
    start: async () => {
      const module = await load<{ default: { default?: unknown } }>('@codegenie/serverless-express')
      const serverless = (module.default.default ?? module.default) as (options: {
        app: RequestListener
      }) => Handler
      return async (app, request) => answerOf(await serverless({ app })(gatewayEvent(request), {}))
    },
  },
  'light-my-request': {
    from: 'light-my-request',
    start: async () => {
      const { inject } = await load<{
        inject: (app: RequestListener, options: object) => Promise<{ statusCode: number; payload: string }>
      }>('light-my-request')
      return async (app, request) => {
        const options = {
          method: request.method,
          url: request.path,
          headers: headersOf(request),
          payload: request.body,
        }
        const { statusCode, payload } = await inject(app, options)
        return { status: statusCode, text: payload }
      }
    },
  },
  '@google-cloud/functions-framework': {
    from: '@google-cloud/functions-framework',
    start: async () => {
      const { getTestServer } = await load<{
        getTestServer: (name: string) => ReturnType<typeof createServer>
      }>('@google-cloud/functions-framework/testing')
      const framework = await load<{ default: { http: (name: string, app: RequestListener) => void } }>(
        '@google-cloud/functions-framework',
      )
      let calls = 0
      return async (app, request) => {
        const name = `function-${calls++}`
        framework.default.http(name, app)
        return ask(getTestServer(name), request)
      }
    },
  },
}

/** Calls it over a real connection. */
export function overHttp(app: RequestListener, request: Request): Promise<Answer> {
  return ask(createServer(app), request)
}

async function ask(server: ReturnType<typeof createServer>, request: Request): Promise<Answer> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  try {
    const { method, path, body } = request
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      headers: headersOf(request),
      ...(body === undefined ? {} : { body: new Uint8Array(body) }),
    })
    return { status: response.status, text: await response.text() }
  } finally {
    server.closeAllConnections()
    server.close()
  }
}
