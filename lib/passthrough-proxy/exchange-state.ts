/**
 * - `queued`: no server has seen the request; it is being prepared, or waits for a connection.
 * - `sent`: it has a connection, and no final response yet.
 * - `answering`: the head of the final response has arrived.
 * - `over`: both sides are done.
 *
 * If the target could not be reached, the request is prepared again, for another one.
 *
 *     queued ── onSending ──▶ sent ── onHead ──▶ answering ── onEnd ──▶ over
 *        │ ▲                   │ └──── onUpgraded ──────────────────────▲
 *        │ └─ goElsewhere ─────┤                                        │
 *        └─────────────────────┴───── fail, abandon ─────┴──────────────┘
 */
export type ExchangeState = 'queued' | 'sent' | 'answering' | 'over'
