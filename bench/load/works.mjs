// The work that proxies are measured by. `open` makes a session, whose `run(amount, ms)` can be timed.
import { ITEMS, SIZES } from '../upstream/answers.mjs'
import { openEvents } from './events.mjs'
import { get, openRequests, post } from './requests.mjs'

const json = Buffer.from(JSON.stringify({ value: 'x'.repeat(1012) }))
const upload = Buffer.alloc(SIZES['10m'], 'u')

/**
 * `ms` is how long a slice takes, or `amount` how much of what `unit` names it is; `bytes` per unit where bytes are the
 * work; `upstream` which one; `upstreamConnections` where a proxy needs more than 128; `once` what one Node is enough for.
 */
export const works = {
  get: small('get', {
    title: 'GET, 300 bytes',
    detail: '12 header lines each way, 32 connections',
    connections: 32,
  }),
  post: requests('post', {
    title: 'POST, 1 KB',
    detail: 'JSON, answered with 300 bytes, 32 connections',
    connections: 32,
    request: post('/upload', 'application/json', json),
  }),
  'download-100k': download('100k', { title: '100 KB down', connections: 16 }),
  'download-10m': download('10m', { title: '10 MB down', connections: 4 }),
  'upload-10m': requests('upload-10m', {
    title: '10 MB up',
    detail: '4 connections',
    bytes: SIZES['10m'],
    connections: 4,
    request: post('/upload', 'application/octet-stream', upload),
  }),
  events: {
    name: 'events',
    title: 'server-sent events',
    detail: '200 clients, an event of 100 bytes to each every 50 ms',
    unit: 'event',
    upstream: 'node',
    upstreamConnections: 256,
    amount: 1600,
    warmUp: 400,
    ms: Infinity,
    open: ({ port, upstream }) => openEvents({ port, upstream, clients: 200 }),
  },
  tls: small('tls', {
    title: 'GET, 300 bytes, from an upstream over TLS',
    detail: '32 connections; the client speaks plain HTTP',
    connections: 32,
    upstream: 'secure',
    once: true,
  }),
  sequential: small('sequential', {
    title: 'GET, one connection',
    detail: 'one request after the other',
    connections: 1,
    once: true,
  }),
}

function small(name, { connections, ...work }) {
  return requests(name, { ...work, connections, request: get('/items') })
}

function requests(name, { connections, request, expected = ITEMS, ...work }) {
  const open = ({ port }) => openRequests({ port, connections, request, expected })
  return { unit: 'request', upstream: 'fast', ms: 500, ...work, name, open }
}

function download(size, { title, connections }) {
  const bytes = SIZES[size]
  const detail = `${connections} connections`
  return requests(`download-${size}`, {
    title,
    detail,
    connections,
    bytes,
    request: get(`/bytes/${size}`),
    expected: bytes,
  })
}
