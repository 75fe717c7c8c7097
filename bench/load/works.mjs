// The work that proxies are measured by. `open` makes a session, whose `run(amount)` can be timed.
import { ITEMS, SIZES } from '../upstream/answers.mjs'
import { openEvents } from './events.mjs'
import { get, openRequests, post } from './requests.mjs'

const json = Buffer.from(JSON.stringify({ value: 'x'.repeat(1012) }))
const upload = Buffer.alloc(SIZES['10m'], 'u')

/**
 * `amount` per round of what `unit` names, `warmUp` before it; `bytes` per unit where bytes are the work; `onNode` for
 * what nginx cannot; `upstreamConnections` where a proxy needs more than 128.
 */
export const works = {
  get: {
    name: 'get',
    title: 'GET, 300 bytes',
    detail: '12 header lines each way, 32 connections',
    unit: 'request',
    amount: 3000,
    warmUp: 1000,
    open: ({ port }) => openRequests({ port, connections: 32, request: get('/items'), expected: ITEMS }),
  },
  post: {
    name: 'post',
    title: 'POST, 1 KB',
    detail: 'JSON, answered with 300 bytes, 32 connections',
    unit: 'request',
    amount: 3000,
    warmUp: 1000,
    open: ({ port }) =>
      openRequests({
        port,
        connections: 32,
        request: post('/upload', 'application/json', json),
        expected: ITEMS,
      }),
  },
  'download-100k': download('100k', { title: '100 KB down', connections: 16, amount: 1000, warmUp: 300 }),
  'download-10m': download('10m', { title: '10 MB down', connections: 4, amount: 40, warmUp: 10 }),
  'upload-10m': {
    name: 'upload-10m',
    title: '10 MB up',
    detail: '4 connections',
    unit: 'request',
    bytes: SIZES['10m'],
    amount: 40,
    warmUp: 10,
    open: ({ port }) =>
      openRequests({
        port,
        connections: 4,
        request: post('/upload', 'application/octet-stream', upload),
        expected: ITEMS,
      }),
  },
  events: {
    name: 'events',
    title: 'server-sent events',
    detail: '200 clients, an event of 100 bytes to each every 50 ms',
    unit: 'event',
    onNode: true,
    upstreamConnections: 256,
    amount: 4000,
    warmUp: 1000,
    open: ({ port, upstream }) => openEvents({ port, upstream, clients: 200 }),
  },
  sequential: {
    name: 'sequential',
    title: 'GET, one connection',
    detail: 'one request after the other',
    unit: 'request',
    amount: 1500,
    warmUp: 300,
    open: ({ port }) => openRequests({ port, connections: 1, request: get('/items'), expected: ITEMS }),
  },
}

function download(size, { connections, ...work }) {
  const bytes = SIZES[size]
  return {
    ...work,
    name: `download-${size}`,
    detail: `${connections} connections`,
    unit: 'request',
    bytes,
    open: ({ port }) => openRequests({ port, connections, request: get(`/bytes/${size}`), expected: bytes }),
  }
}
