/**
 * Histories of concurrent clients over versioned registers, and what makes one
 * linearizable.
 *
 * Every write that took effect has a revision, and revisions order all writes. So
 * no search is needed: the history is linearizable exactly when that order agrees
 * with real time (an operation that began after another had ended does not see or
 * make an older state) and with what a register does (a read gives the value of the
 * write at its revision, a conditional write follows the revision it named).
 * A write whose answer was lost may have taken effect or not; a read that shows
 * its value tells.
 */

export interface Operation {
  readonly client: number;
  readonly key: string;
  readonly kind: 'read' | 'write' | 'conditional-write';
  /** Milliseconds of one clock. */
  readonly startedMs: number;
  readonly endedMs: number;
  /** `ok`: answered. `refused`: the condition did not hold. `unknown`: no answer. */
  readonly outcome: 'ok' | 'refused' | 'unknown';
  /** Written, or read; each write has a value of its own. */
  readonly value: string;
  /** Of the state that was read or made; undefined unless ok. */
  readonly revision?: number;
  /** What a conditional write named. */
  readonly baseRevision?: number;
}

/** What is wrong with the history; empty where it is linearizable. */
export function violationsOf(operations: readonly Operation[]): string[] {
  const byKey = new Map<string, Operation[]>();
  for (const operation of operations) {
    const list = byKey.get(operation.key);
    if (list === undefined) byKey.set(operation.key, [operation]);
    else list.push(operation);
  }
  return [...byKey].flatMap(([key, list]) =>
    violationsOfRegister(list).map((text) => `${key}: ${text}`),
  );
}

function violationsOfRegister(operations: readonly Operation[]): string[] {
  const wrong: string[] = [];
  const answered = operations.filter(
    (operation): operation is Operation & { revision: number } =>
      operation.outcome === 'ok' && operation.revision !== undefined,
  );
  const valueAt = new Map<number, string>();
  const revisionOf = new Map<string, number>();
  for (const { revision, value } of answered) {
    const known = valueAt.get(revision);
    if (known !== undefined && known !== value) {
      wrong.push(`revision ${revision} is both ${known} and ${value}`);
    }
    valueAt.set(revision, value);
    const before = revisionOf.get(value);
    if (before !== undefined && before !== revision) {
      wrong.push(`${value} is at revision ${before} and at ${revision}`);
    }
    revisionOf.set(value, revision);
  }

  const writes = new Map(
    operations
      .filter(({ kind }) => kind !== 'read')
      .map((operation) => [operation.value, operation]),
  );
  for (const { kind, value, endedMs } of answered) {
    if (kind !== 'read') continue;
    const source = writes.get(value);
    if (source === undefined) wrong.push(`${value} was read and never written`);
    else if (source.outcome === 'refused') wrong.push(`${value} was refused and is there`);
    else if (source.startedMs > endedMs) wrong.push(`${value} was read before it was written`);
  }

  const revisions = [...valueAt.keys()].sort((left, right) => left - right);
  for (const { kind, value, revision, baseRevision } of answered) {
    if (kind !== 'conditional-write' || baseRevision === undefined) continue;
    const between = revisions.find((other) => other > baseRevision && other < revision);
    if (between !== undefined) {
      wrong.push(`${value} followed ${baseRevision}, although ${between} lay between`);
    }
  }

  // Sweep over time: nothing that begins now may be older than what has ended.
  const byStart = answered.toSorted((left, right) => left.startedMs - right.startedMs);
  const byEnd = answered.toSorted((left, right) => left.endedMs - right.endedMs);
  let ended = 0;
  let newest = 0;
  for (const operation of byStart) {
    for (
      let next = byEnd[ended];
      next !== undefined && next.endedMs < operation.startedMs;
      next = byEnd[ended]
    ) {
      newest = Math.max(newest, next.revision);
      ended += 1;
    }
    const isOld =
      operation.kind === 'read' ? operation.revision < newest : operation.revision <= newest;
    if (isOld) {
      wrong.push(
        `${operation.kind} ${operation.value} is at ${operation.revision}, after ${newest} had been answered`,
      );
    }
  }
  return wrong;
}
