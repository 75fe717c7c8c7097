/** What went wrong, by kind: how often, and a few examples of each. */
export class Failures {
  private readonly counts = new Map<string, number>()
  private readonly examples = new Map<string, string[]>()

  get total(): number {
    return [...this.counts.values()].reduce((sum, count) => sum + count, 0)
  }

  count(kind: string): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1)
  }

  example(kind: string, text: string): void {
    this.examples.set(kind, [...(this.examples.get(kind) ?? []), text])
  }

  examplesOf(kind: string): number {
    return this.examples.get(kind)?.length ?? 0
  }

  /** True where each kind has so many examples, or as many as were counted. */
  hasExamples(most: number): boolean {
    return [...this.counts].every(([kind, count]) => this.examplesOf(kind) >= Math.min(most, count))
  }

  /** A line for each kind, the most frequent first, and its examples below it. */
  lines(): string[] {
    const kinds = [...this.counts].toSorted(([, one], [, other]) => other - one)
    return kinds.flatMap(([kind, count]) => {
      const examples = (this.examples.get(kind) ?? []).map((text) => `      ${text}`)
      return [`  ${count} × ${kind}`, ...examples]
    })
  }
}
