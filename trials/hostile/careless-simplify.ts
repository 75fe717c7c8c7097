import type { CarelessCase } from './careless-cases.js'

/** Takes from a case whatever it fails without, one thing after the other. */
export async function simplest(
  one: CarelessCase,
  fails: (one: CarelessCase) => Promise<boolean>,
): Promise<CarelessCase> {
  for (const simpler of simplerThan(one)) {
    if (await fails(simpler)) return simplest(simpler, fails)
  }
  return one
}

function* simplerThan(one: CarelessCase): Generator<CarelessCase> {
  for (const steps of withoutEach(one.steps)) yield { ...one, steps }
  for (const chain of withoutEach(one.chain)) yield { ...one, chain }
  for (const steps of withoutEach(one.client.steps)) yield { ...one, client: { ...one.client, steps } }
  if (one.client.isBehind) yield { ...one, client: { ...one.client, isBehind: false } }
  if (one.attach) yield { ...one, attach: false }
  if (one.host !== 'bare http') yield { ...one, host: 'bare http' }
  for (const [index, step] of one.steps.entries()) {
    if (step.at !== 'at once') yield { ...one, steps: one.steps.with(index, { ...step, at: 'at once' }) }
  }
}

function* withoutEach<Item>(list: readonly Item[]): Generator<readonly Item[]> {
  for (const index of list.keys()) yield list.toSpliced(index, 1)
}
