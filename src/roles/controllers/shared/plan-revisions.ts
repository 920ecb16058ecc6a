/**
 * The templates that a workload has had, as numbered revisions. Pure.
 *
 * Invariants:
 * 1. The present template has the highest number; one that comes back takes its old
 *    revision to the top instead of making a second one.
 * 2. Nothing that a pod was made from is ever dropped.
 */
import type { JsonObject } from '#base/mod.ts';
import { type ControllerRevision, equalJson, type PodTemplate } from '#platform/api/mod.ts';

export const revisionLabel = 'controller-revision-hash';

export type RevisionStep =
  | { readonly type: 'keep'; readonly revision: ControllerRevision }
  | { readonly type: 'raise'; readonly revision: ControllerRevision; readonly to: number }
  | { readonly type: 'create'; readonly number: number };

/** What makes the present template the newest of `revisions`. */
export function planRevision(
  template: PodTemplate,
  revisions: readonly ControllerRevision[],
): RevisionStep {
  const inOrder = inOrderOfRevision(revisions);
  const newest = inOrder.at(-1);
  const known = inOrder.findLast((revision) => holdsTemplate(revision, template));
  const next = (newest?.revision ?? 0) + 1;
  if (known === undefined) return { type: 'create', number: next };
  return known === newest
    ? { type: 'keep', revision: known }
    : { type: 'raise', revision: known, to: next };
}

/** Beyond the limit, oldest first; `inUse` are names that pods or the status still have. */
export function planRevisionCleanup(
  revisions: readonly ControllerRevision[],
  inUse: ReadonlySet<string>,
  historyMax: number,
): readonly ControllerRevision[] {
  const idle = inOrderOfRevision(revisions).filter(({ metadata }) => !inUse.has(metadata.name));
  return idle.slice(0, Math.max(0, idle.length - historyMax));
}

/** A patch that gives the workload this template, as `kubectl rollout undo` applies it. */
export function revisionData(template: PodTemplate): JsonObject {
  const replaced: JsonObject = { ...(template as unknown as JsonObject), $patch: 'replace' };
  return { spec: { template: replaced } };
}

/** Lowest number first; of equal ones, which only a mishap makes, the older. */
export function inOrderOfRevision(
  revisions: readonly ControllerRevision[],
): readonly ControllerRevision[] {
  return revisions.toSorted(
    (left, right) =>
      left.revision - right.revision ||
      compareText(bornOf(left), bornOf(right)) ||
      compareText(left.metadata.name, right.metadata.name),
  );
}

function holdsTemplate({ data = {} }: ControllerRevision, template: PodTemplate): boolean {
  return equalJson(data, revisionData(template));
}

function bornOf({ metadata }: ControllerRevision): string {
  return metadata.creationTimestamp ?? '';
}

function compareText(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
