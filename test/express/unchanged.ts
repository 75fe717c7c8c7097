/** An answer without what differs from one run to the next, and the headers that autoFlush sets on streams. */
export function withoutMeant(answer: string | Buffer): string {
  return (typeof answer === 'string' ? answer : answer.toString('latin1')).replaceAll(
    /^(?:Date|X-Accel-Buffering|X-Content-Type-Options): .*\r\n/gm,
    '',
  )
}
