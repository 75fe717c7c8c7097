/** The headers that frame a body. If a message has both, the first one counts (RFC 9112 §6.3). */
export const framingNames = ['transfer-encoding', 'content-length'] as const

export type FramingName = (typeof framingNames)[number]
