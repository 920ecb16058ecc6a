/**
 * 11. The same seed gives the same trace: whatever a program does comes from its
 * ports, so a failure can be looked at again as often as one likes.
 */
import { SimulationFailure } from '../errors.ts';
import { invariants, invariantText } from './invariants.ts';

interface Outcome {
  readonly trace: string;
  readonly events: number;
  readonly simulatedMs: number;
}

/** For two runs of a seed that did not end with the same trace. */
export function sameTraceFailure(seed: number, first: Outcome, second: Outcome): SimulationFailure {
  const told = ({ trace, events }: Outcome): string => `${trace.slice(0, 16)} (${events} events)`;
  const text = `${invariantText(invariants.sameTrace)} violated at ${first.simulatedMs.toFixed(0)} ms`;
  return new SimulationFailure(
    'SIM_INVARIANT',
    `seed ${seed}: ${text}: ${told(first)} and then ${told(second)}`,
  );
}
