/**
 * - `unread`: the request looks new.
 * - `reading`: it has a listener, or has had one in this round.
 * - `discarding`: it flows without a listener. The next reader gets the body from its start.
 * - `telling`: the body has failed, and the readers of this round are being told.
 *
 *     unread ── no listener ──────▶ discarding ──┐
 *       ▲ └──── a listener ───────▶ reading ─────┤
 *       │                             │ ▲        │
 *       │                             │ └────────┘  a listener
 *       ├── 'end', given up, set aside ──────────┤
 *       └── told ◀── telling ◀── the body fails ─┘
 *
 * A reader that is set aside goes on from a stream of its own while the next round begins; the request is `awaited`
 * then, until a round reaches the end of the body.
 */
export type RoundState = 'unread' | 'reading' | 'discarding' | 'telling'
