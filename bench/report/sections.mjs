import { refusedBody, streamsBody } from './sections/many-clients.mjs'
// What the page says of each benchmark; `npm run bench` prints the same. In the order of the page.
import {
  connectionsBody,
  idleBody,
  latencyBody,
  loadingBody,
  memoryBody,
  syscallsBody,
  websocketsBody,
  workersBody,
} from './sections/others.mjs'
import { pairedBody } from './sections/paired.mjs'
import { proxyBody } from './sections/proxy.mjs'

export const sections = {
  proxy: { title: 'A proxied request', body: proxyBody },
  latency: { title: 'Latency at a fixed rate', body: latencyBody },
  memory: { title: 'A gigabyte', body: memoryBody },
  'max-bytes': { title: 'maxBytes', body: pairedBody },
  'body-cache': { title: 'bodyCache', body: pairedBody },
  'auto-flush': { title: 'autoFlush', body: pairedBody },
  'full-stack': { title: 'All four together', body: pairedBody },
  loading: { title: 'Loading', body: loadingBody },
  'refused-uploads': { title: 'A refused upload', body: refusedBody },
  'spilled-bodies': { title: 'A body that is kept in a file', body: pairedBody },
  attach: { title: 'attach', body: pairedBody },
  websockets: { title: 'WebSockets', body: websocketsBody },
  'idle-streams': { title: 'An idle event stream', body: streamsBody },
  'idle-connections': { title: 'An idle connection', body: idleBody },
  connections: { title: 'More clients', body: connectionsBody },
  workers: { title: 'More processes', body: workersBody },
  syscalls: { title: 'System calls', body: syscallsBody },
}
