import {
  BODY,
  CHUNKED,
  CHUNKS,
  entry,
  type HostileResponse,
  type Must,
  LENGTH,
  named,
  passes,
  POISON,
  response,
  shown,
  type Step,
} from './response-entry.js'

const TIMEOUT_408 = 'HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\n'

/** On a connection that waits for its next request. */
const lateSteps: readonly (readonly Step[])[] = [
  [{ write: 'X' }],
  [{ write: '\r\n' }],
  [{ write: '\0' }],
  [{ write: POISON }],
  [{ write: POISON }, 'end'],
  [{ write: POISON }, 'reset'],
  [{ bytewise: POISON }],
  [{ flood: POISON }],
  [{ write: TIMEOUT_408 }],
  [{ write: TIMEOUT_408 }, 'end'],
  [{ write: 'HTTP/1.1 100 Continue\r\n\r\n' }],
  [{ write: 'HTTP/1.1 103 Early Hints\r\nInjected: yes\r\n\r\n' }],
  [{ write: `${SWITCH}Connection: upgrade\r\nUpgrade: websocket\r\n\r\n` }],
  [{ write: 'HTTP/1.1 2' }],
  [{ write: 'HTTP/1.1 200 OK\r\nInjected: yes\r\n' }],
  [{ write: '0\r\n\r\n' }],
  [{ write: '\x15\x03\x03\x00\x02\x01\x00' }],
  ['end'],
  ['reset'],
]

const late = lateSteps.map((steps) =>
  entry({ table: 'late', section: 'RFC 9112 §9.2', verdict: 'invalid', node: 'depends' }, named(steps), {
    moment: 'idle',
    steps,
    must: passes(),
  }),
)

/** Before the request can have come. */
const early: readonly HostileResponse[] = (
  [
    [[{ write: response({}) }], passes()],
    [[{ write: TIMEOUT_408 }, 'end'], passes({ status: 408, body: '' })],
    [[{ write: response({}) + POISON }], passes()],
    [[{ bytewise: response({}) + POISON }], passes()],
    [[{ write: '220 mail.test ESMTP\r\n' }], 'fails'],
    [[{ write: 'SSH-2.0-OpenSSH_9.6\r\n' }], 'fails'],
    [[{ write: '\x15\x03\x03\x00\x02\x02\x28' }], 'fails'],
    [[{ write: '\0' }], 'fails'],
    [[{ flood: '\r\n' }], 'fails'],
    [[{ write: 'HTTP/1.1 2' }, 'end'], 'fails'],
    [['end'], 'fails'],
    [['reset'], 'fails'],
  ] as readonly [readonly Step[], Must][]
).map(([steps, must]) =>
  entry(
    {
      table: 'early',
      section: 'RFC 9112 §9.2, §9.3',
      verdict: must === 'fails' ? 'invalid' : 'open',
      node: 'depends',
    },
    named(steps),
    {
      moment: 'connected',
      steps,
      must,
      mustHead: typeof must === 'string' ? must : { ...must, body: '' },
    },
  ),
)

/** While the client sends a body that takes a while. */
const inUpload: readonly HostileResponse[] = (
  [
    [[{ write: response({}) }], passes()],
    [[{ write: response({ start: 'HTTP/1.1 413 Too Large' }) }], passes({ status: 413 })],
    [
      [{ write: response({ start: 'HTTP/1.1 413 Too Large', lines: [LENGTH, 'Connection: close'] }) }, 'end'],
      passes({ status: 413 }),
    ],
    [[{ write: response({ lines: [CHUNKED], body: CHUNKS }) }], passes()],
    [[{ write: response({}) + POISON }], passes()],
    [
      [{ write: response({ start: 'HTTP/1.1 204 No Content', lines: [], body: POISON }) }],
      passes({ status: 204, body: '' }),
    ],
    [[{ write: 'HTTP/1.1 100 Continue\r\n\r\n' }, { write: response({}) }], passes()],
    [[{ write: 'HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n' }], 'fails'],
    [[{ write: 'HTTP/1.1 200 OK\r\nX: y\r\r\n\r\n' }], 'fails'],
    [[{ write: response({ body: 'he' }) }, 'end'], 'breaks'],
    [[{ write: response({ start: 'HTTP/1.1 413 Too Large' }) }, 'reset'], 'ends'],
    [['end'], 'fails'],
    [['reset'], 'fails'],
  ] as readonly [readonly Step[], Must][]
).map(([steps, must]) =>
  entry(
    {
      table: 'during the upload',
      section: 'RFC 9112 §9.5',
      verdict: typeof must === 'string' ? 'invalid' : 'valid',
      node: 'depends',
    },
    named(steps),
    {
      moment: 'head',
      upload: 400_000,
      steps,
      must,
      mustHead:
        must === 'breaks' ? passes({ body: '' }) : typeof must === 'string' ? must : { ...must, body: '' },
    },
  ),
)

/** A 101, whether or not an upgrade was asked for. */
const switches: readonly [lines: readonly string[], ifAsked: Must][] = [
  [['Connection: upgrade', 'Upgrade: websocket'], 'tunnels'],
  [['Connection: keep-alive, Upgrade', 'Upgrade: WebSocket'], 'tunnels'],
  [['Connection: upgrade'], 'fails'],
  [['Upgrade: websocket'], 'fails'],
  [['Connection: close', 'Upgrade: websocket'], 'fails'],
  [['Connection: upgrade', 'Upgrade:'], 'fails'],
  [['Connection: upgrade', 'Upgrade: h2c'], 'fails'],
  [['Connection: upgrade', 'Upgrade: websocket, h2c'], 'fails'],
  [['Connection: upgrade', 'Upgrade: websocket', 'Upgrade: h2c'], 'fails'],
  [['Connection: upgrade', 'Upgrade: websocket/13'], 'fails'],
  [['Connection: upgrade', 'Upgrade: websocket', 'X : y'], 'fails'],
  [['Connection: upgrade', 'Upgrade: websocket', 'X: y\rInjected: yes'], 'fails'],
  [['Connection: upgrade', 'Upgrade: websocket', LENGTH, CHUNKED], 'fails'],
  [[], 'fails'],
]

const switched: readonly HostileResponse[] = switches.flatMap(([lines, ifAsked]) => {
  const steps = [{ write: `${SWITCH}${[...lines, '', ''].join('\r\n')}` }]
  const common = {
    table: '101',
    section: 'RFC 9110 §7.8, §15.2.2',
    verdict: 'invalid',
    node: 'depends',
  } as const
  const name = shown(lines.join()) || 'no line'
  return [
    entry(common, `${name}, not asked for`, { steps: [{ write: steps[0]!.write + POISON }], must: 'fails' }),
    entry({ ...common, verdict: ifAsked === 'tunnels' ? 'valid' : 'invalid' }, `${name}, asked for`, {
      steps,
      upgrade: 'websocket',
      must: ifAsked,
    }),
  ]
})

/** Answers to a request for an upgrade that are no 101. */
const declined: readonly HostileResponse[] = (
  [
    [response({}), passes()],
    [response({}) + POISON, passes()],
    [
      response({
        start: 'HTTP/1.1 426 Upgrade Required',
        lines: ['Connection: upgrade', 'Upgrade: h2c', LENGTH],
      }),
      passes({ status: 426 }),
    ],
    [response({ lines: ['X : y'] }), 'fails'],
    [response({ lines: [LENGTH, CHUNKED] }), 'fails'],
    [`HTTP/1.1 103 Early Hints\r\nInjected: yes\r\n\r\n${POISON}`, 'ends'],
  ] as readonly [string, Must][]
).map(([text, must]) =>
  entry(
    {
      table: 'no 101',
      section: 'RFC 9110 §7.8',
      verdict: must === 'fails' ? 'invalid' : 'valid',
      node: 'depends',
    },
    shown(text.replace('\r\nContent-Type: text/plain', '')),
    {
      steps: [{ write: text }],
      upgrade: 'websocket',
      must,
    },
  ),
)

/** Interim responses, and what may be taken for one. */
const interim: readonly HostileResponse[] = (
  [
    ['HTTP/1.1 100 Continue\r\n\r\n', passes()],
    ['HTTP/1.1 100\r\n\r\n', passes()],
    ['HTTP/1.0 100 Continue\r\n\r\n', passes()],
    ['HTTP/1.1 102 Processing\r\n\r\n', passes()],
    ['HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n', passes()],
    ['HTTP/1.1 103 Early Hints\r\nConnection: close\r\n\r\n', passes()],
    ['HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n', passes()],
    [`HTTP/1.1 103 Early Hints\r\n${CHUNKED}\r\n\r\n`, passes()],
    ['HTTP/1.1 199 Odd\r\nX: y\r\n\r\n', passes()],
    ['HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'.repeat(50), passes()],
    [`HTTP/1.1 103 Early Hints\r\n${LENGTH}\r\n\r\n${BODY}`, 'fails'],
    [`HTTP/1.1 103 Early Hints\r\n${CHUNKED}\r\n\r\n${CHUNKS}`, 'fails'],
    ['HTTP/1.1 103 Early Hints\r\nLink : </a>\r\n\r\n', 'fails'],
    ['HTTP/1.1 103 Early Hints\r\nLink: </a>\r\r\nInjected: yes\r\n\r\n', 'fails'],
    ['HTTP/1.1 103 Early\0Hints\r\n\r\n', 'fails'],
    ['HTTP/1.1 103 Early Hints\n\n', 'fails'],
    ['HTTP/1.1 1 Low\r\n\r\n', 'fails'],
    ['HTTP/1.1 099 Low\r\n\r\n', 'fails'],
  ] as readonly [string, Must][]
).map(([text, must]) =>
  entry(
    { table: 'interim', section: 'RFC 9110 §15.2', verdict: must === 'fails' ? 'invalid' : 'valid' },
    shown(text),
    {
      steps: [{ write: text + response({}) }],
      must,
    },
  ),
)

export const moments: readonly HostileResponse[] = [
  ...early,
  ...inUpload,
  ...late,
  ...interim,
  ...switched,
  ...declined,
]
