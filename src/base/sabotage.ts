/**
 * Planted bugs that no port can bring about, so that a line of the program asks.
 * Nothing is sabotaged unless the simulator has said so: `armSabotage` is called by
 * the simulator only, and docs/reference/invariants.md lists every place that asks.
 */
export type SabotageHook = 'forget-a-fence' | 'obey-a-superseded-owner' | 'reuse-a-sequence';

let armed: SabotageHook | undefined;

/** Undefined: nothing is sabotaged any more. */
export function armSabotage(name: SabotageHook | undefined): void {
  armed = name;
}

export function isSabotaged(name: SabotageHook): boolean {
  return armed === name;
}
