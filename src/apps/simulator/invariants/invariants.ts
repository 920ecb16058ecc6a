/**
 * The invariants by number and name, as docs/reference/invariants.md explains them.
 * Numbers are never given again: seeds, tests and reports refer to them.
 */
export interface Invariant {
  readonly number: number;
  readonly name: string;
}

export const invariants = {
  acknowledgedSurvives: { number: 1, name: 'acknowledged-writes-survive' },
  stateIsFold: { number: 2, name: 'state-is-the-fold-of-the-log' },
  oneOrder: { number: 3, name: 'one-order-per-object' },
  wholeWatches: { number: 4, name: 'watches-are-whole' },
  oneWriter: { number: 5, name: 'one-writer-per-facet' },
  supersededNeverActs: { number: 6, name: 'superseded-never-acts' },
  absenceNeverDeletes: { number: 7, name: 'absence-never-deletes' },
  fleetConverges: { number: 8, name: 'the-fleet-converges' },
  outboxDelivers: { number: 9, name: 'the-outbox-delivers' },
  tokenWorksOnce: { number: 10, name: 'a-token-works-once' },
  sameTrace: { number: 11, name: 'same-seed-same-trace' },
  restartDisturbsNothing: { number: 12, name: 'a-restart-disturbs-nothing' },
  copyIsPast: { number: 13, name: 'a-copy-is-its-owners-past' },
  revokedIsRefused: { number: 14, name: 'a-revoked-key-is-refused' },
} as const satisfies Readonly<Record<string, Invariant>>;

export function invariantText({ number, name }: Invariant): string {
  return `invariant ${number} (${name})`;
}

/** Told of what does not hold; the first one ends the simulation. */
export type Violate = (invariant: Invariant, why: string) => void;
