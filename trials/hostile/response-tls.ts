import {
  CHUNKED,
  entry,
  type HostileResponse,
  LENGTH,
  type Must,
  named,
  passes,
  POISON,
  response,
  type Step,
} from './response-entry.js'

const HEAD_ONLY = passes({ body: '' })
const HALF_HEAD = 'HTTP/1.1 200 OK\r\nX: y\r\n'
const HALF_BODY = response({ body: 'he' })
const HALF_CHUNKS = response({ lines: [CHUNKED], body: '5\r\nhello\r\n' })
const UNFRAMED = response({ lines: [] })
const NO_RECORD = '\x99\x03\x03\x00\x05\x01\x02\x03\x04\x05'
const ALERT = '\x15\x03\x03\x00\x02\x02\x28'

/** Instead of a handshake. */
const handshakes: readonly (readonly Step[])[] = [
  ['end'],
  ['reset'],
  [{ write: response({}) }],
  [{ write: POISON }, 'end'],
  [{ write: ALERT }],
  [{ write: ALERT }, 'end'],
  [{ write: NO_RECORD }],
  [{ write: '\x16\x03\x03\x00\x40\x02\x00' }, 'end'],
  [{ flood: '\0' }],
]

/** Behind a request, within TLS but for what is in clear. */
const answers: readonly [steps: readonly Step[], must: Must, mustHead?: Must][] = [
  [[{ write: response({}) }], passes()],
  [[{ write: response({}) }, 'end'], passes()],
  [[{ write: response({ lines: [LENGTH, 'Connection: close'] }) }, 'cut'], passes()],
  [[{ write: response({}) }, 'reset'], 'ends', 'ends'],
  [[{ write: response({}) + POISON }], passes()],
  [[{ bytewise: response({}) + POISON }], passes()],
  [[{ write: response({}) }, { clear: NO_RECORD }], 'ends', 'ends'],
  [[{ write: HALF_HEAD }, 'end'], 'fails'],
  [[{ write: HALF_HEAD }, 'cut'], 'fails'],
  [[{ write: HALF_HEAD }, 'reset'], 'fails'],
  [[{ write: HALF_HEAD }, { clear: NO_RECORD }], 'fails'],
  [[{ write: HALF_HEAD }, { clear: 'Injected: yes\r\n\r\n' }, 'end'], 'fails'],
  [[{ clear: response({}) }], 'fails'],
  [[{ clear: ALERT }], 'fails'],
  [['end'], 'fails'],
  [['cut'], 'fails'],
  [['reset'], 'fails'],
  [[{ write: HALF_BODY }, 'end'], 'breaks', HEAD_ONLY],
  [[{ write: HALF_BODY }, 'cut'], 'breaks', HEAD_ONLY],
  [[{ write: HALF_BODY }, 'reset'], 'breaks', 'ends'],
  [[{ write: HALF_BODY }, { clear: 'llo and more' }], 'breaks', 'ends'],
  [[{ write: HALF_CHUNKS }, 'end'], 'breaks', HEAD_ONLY],
  [[{ write: HALF_CHUNKS }, 'cut'], 'breaks', HEAD_ONLY],
  [[{ write: HALF_CHUNKS }, 'reset'], 'breaks', 'ends'],
  [[{ write: UNFRAMED }, 'end'], passes()],
  // RFC 9112 §9.8 has it incomplete; Node does not tell a connection that TLS has ended from one that it has not.
  [[{ write: UNFRAMED }, 'cut'], 'ends', 'ends'],
  [[{ write: UNFRAMED }, 'reset'], 'breaks', 'ends'],
  [[{ write: UNFRAMED }, { clear: NO_RECORD }], 'breaks', 'ends'],
]

const late: readonly (readonly Step[])[] = [
  [{ write: POISON }],
  [{ clear: POISON }],
  [{ clear: NO_RECORD }],
  [{ clear: ALERT }],
  ['end'],
  ['cut'],
  ['reset'],
]

/** What an upstream may do to a connection beneath HTTP. */
export const secureResponses: readonly HostileResponse[] = [
  ...handshakes.map((steps) =>
    entry({ table: 'handshake', section: 'RFC 8446 §6', verdict: 'invalid', node: 'depends' }, named(steps), {
      moment: 'connected',
      steps,
    }),
  ),
  entry({ table: 'handshake', section: 'RFC 8446 §6', verdict: 'invalid', node: 'depends' }, 'silence', {
    moment: 'connected',
    steps: [],
    isSilent: true,
  }),
  ...answers.map(([steps, must, mustHead]) =>
    entry(
      {
        table: 'within TLS',
        section: 'RFC 9112 §9.8',
        verdict: typeof must === 'string' ? 'invalid' : 'valid',
        node: 'depends',
      },
      named(steps),
      {
        steps,
        must,
        ...(mustHead && { mustHead }),
      },
    ),
  ),
  ...late.map((steps) =>
    entry(
      { table: 'late, beneath TLS', section: 'RFC 9112 §9.2, §9.8', verdict: 'invalid', node: 'depends' },
      named(steps),
      {
        moment: 'idle',
        steps,
        must: passes(),
      },
    ),
  ),
]
