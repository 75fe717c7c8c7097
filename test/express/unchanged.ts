/** An answer without the parts that differ from run to run, and without the headers that autoFlush sets on streams. */
export function withoutMeant(answer: string | Buffer): string {
  return (typeof answer === 'string' ? answer : answer.toString('latin1')).replaceAll(
    /^(?:Date|X-Accel-Buffering|X-Content-Type-Options): .*\r\n/gm,
    '',
  )
}
