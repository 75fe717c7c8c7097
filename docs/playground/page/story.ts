/** What a timeline tells: who sent what to whom, and when. */

/** Who takes part. Each has a row of the picture. */
export interface Lane {
  readonly id: string
  readonly name: string
  /** A second line under the name, where two rows would have the same. */
  readonly note?: string
}

/** What kind of step it is: a question, an answer in time, one that is late, a refusal, or something that just happened. */
export type Tone = 'ask' | 'good' | 'late' | 'bad' | 'plain'

export interface Point {
  readonly lane: string
  readonly at: number
}

/** Something that happened at `from`, or went from there to `to`. */
export interface Step {
  readonly from: Point
  readonly to?: Point
  readonly text: string
  readonly tone: Tone
  /** One of many alike: drawn, and in the table, but not numbered. */
  readonly minor?: boolean
}

/** A lane at work for a while. */
export interface Bar {
  readonly lane: string
  readonly from: number
  readonly to: number
  readonly tone: Tone
}

/** What a panel tells: with the lanes of its timeline unless it names others. */
export type ToldStory = Omit<Story, 'lanes'> & Partial<Pick<Story, 'lanes'>>

export interface Story {
  readonly lanes: readonly Lane[]
  /** The whole of it in one sentence. */
  readonly summary: string
  readonly steps: readonly Step[]
  readonly bars?: readonly Bar[]
  /** How much time the picture shows at least. */
  readonly spanMs?: number
}

/** The same story with times that begin at zero, its steps in order, and none that arrives before it left. */
export function fromZero(story: Story): Story {
  const { steps, bars = [] } = story
  const zero = Math.min(...steps.map(({ from }) => from.at), ...bars.map(({ from }) => from))
  const shift = ({ lane, at }: Point): Point => ({ lane, at: at - zero })
  return {
    ...story,
    bars: bars.map((bar) => ({ ...bar, from: bar.from - zero, to: bar.to - zero })),
    steps: steps
      .map((step) => ({ ...step, from: shift(step.from), ...(step.to && { to: shift(notBefore(step)) }) }))
      .toSorted((a, b) => a.from.at - b.from.at),
  }
}

/** Two clocks agree to a fraction of a millisecond only. */
function notBefore({ from, to = from }: Step): Point {
  return { lane: to.lane, at: Math.max(from.at, to.at) }
}

/** How long the story lasts. */
export function lengthOf({ steps, bars = [], spanMs = 0 }: Story): number {
  return Math.max(1, spanMs, ...steps.map(({ from, to = from }) => to.at), ...bars.map(({ to }) => to))
}
