/**
 * DELETE of one object or of a collection.
 *
 * Invariants:
 * 1. An object with finalizers, and a pod that may still run, is only marked; it
 *    goes when the last of those who have work to do has done it.
 * 2. A second deletion may shorten a pod's grace and never lengthens it.
 */
import {
  type ApiObject,
  apiVersionOf,
  listKindOf,
  podGraceSecondsOf,
  type ResourceDefinition,
  resourceName,
  StatusError,
  wallMsOf,
  withDeletion,
} from '#platform/api/mod.ts';
import { timestampOf } from '#platform/io/mod.ts';
import type { StoreView, Transaction } from '#platform/store/mod.ts';
import { admissionOf, type RequestAdmission } from '../admission/admission.ts';
import { isPretty, jsonAnswer, successStatus } from '../answers.ts';
import { type DeletionRequest, deletionRequestOf } from '../delete-options.ts';
import { isPod, isReadyToGo, mayRun } from '../departure.ts';
import { type ServerParts, storeOf } from '../dependencies.ts';
import { deleteCollectionObjectsMax } from '../limits.ts';
import { warningHeaders } from '../object-decoding.ts';
import { keyOf, listObjects, notFoundError } from '../reading.ts';
import type { RouteHandler } from '../route-table.ts';
import { selectionOf } from '../selection.ts';
import { commitDraft, type Draft, draftRemove, draftUpdate } from '../writing.ts';

export function deleteHandler(parts: ServerParts, definition: ResourceDefinition): RouteHandler {
  return async ({ request, query, parameters, user }) => {
    const { namespace = '', name = '' } = parameters;
    const deletion = await deletionRequestOf(request, query);
    const { dryRun } = deletion;
    const admission = admissionOf(parts, definition, { user }, 'delete', undefined, dryRun);
    const { outcome, served } = await deleteObject(
      parts,
      definition,
      namespace,
      name,
      deletion,
      admission,
    );
    const { object } = served;
    const answering = { pretty: isPretty(query), headers: warningHeaders(admission.warnings()) };
    if (outcome !== 'removed') return jsonAnswer(200, object, answering);
    const details = {
      name,
      ...(definition.group === '' ? {} : { group: definition.group }),
      kind: definition.plural,
      uid: object.metadata.uid ?? '',
    };
    return jsonAnswer(200, successStatus(details), answering);
  };
}

/** Deletes everything that is selected, one object after the other. */
export function deleteCollectionHandler(
  parts: ServerParts,
  definition: ResourceDefinition,
): RouteHandler {
  return async ({ request, query, parameters, user }) => {
    const namespace = parameters['namespace'] ?? '';
    const deletion = await deletionRequestOf(request, query);
    const { dryRun } = deletion;
    const admission = admissionOf(parts, definition, { user }, 'delete', undefined, dryRun);
    const listing = listObjects(parts, definition, namespace, selectionOf(query, definition));
    if (listing.items.length > deleteCollectionObjectsMax) {
      throw new StatusError(
        'RequestEntityTooLarge',
        `${listing.items.length} objects are selected; at most ${deleteCollectionObjectsMax} are deleted at once`,
      );
    }
    const items: ApiObject[] = [];
    for (const item of listing.items) {
      const { metadata } = item().object;
      try {
        const deleted = await deleteObject(
          parts,
          definition,
          metadata.namespace ?? '',
          metadata.name,
          { ...deletion, uid: deletion.uid ?? metadata.uid },
          admission,
        );
        items.push(deleted.served.object);
      } catch (error) {
        // Somebody else was faster: it is gone, or another object has its name now.
        const isGone =
          error instanceof StatusError && ['NotFound', 'Conflict'].includes(error.reason);
        if (!isGone || deletion.uid !== undefined) throw error;
      }
    }
    return jsonAnswer(
      200,
      {
        kind: listKindOf(definition),
        apiVersion: apiVersionOf(definition),
        metadata: { resourceVersion: String(storeOf(parts, definition).revision) },
        items,
      },
      { pretty: isPretty(query), headers: warningHeaders(admission.warnings()) },
    );
  };
}

/** Throws 404, or 409 where a precondition does not hold. */
export function deleteObject(
  parts: ServerParts,
  definition: ResourceDefinition,
  namespace: string,
  name: string,
  deletion: DeletionRequest,
  admission: RequestAdmission,
): ReturnType<typeof commitDraft> {
  const nowMs = parts.clock.wallMs();
  return commitDraft(parts, definition, deletion.dryRun, (view) =>
    decideDelete(
      parts,
      definition,
      view,
      keyOf(definition, namespace, name),
      deletion,
      admission,
      nowMs,
    ),
  );
}

function decideDelete(
  parts: ServerParts,
  definition: ResourceDefinition,
  view: StoreView,
  key: ReturnType<typeof keyOf>,
  deletion: DeletionRequest,
  admission: RequestAdmission,
  nowMs: number,
): Transaction<Draft> {
  const stored = view.get(key);
  if (stored === undefined) throw notFoundError(definition, key.name);
  const previous = parts.served.of(definition, stored).object;
  requirePreconditions(definition, previous, deletion);
  const { metadata } = previous;
  const graceSeconds = isPod(definition) && mayRun(stored) ? podGrace(previous, deletion) : 0;
  const isMarked = metadata.deletionTimestamp !== undefined;
  const marked: ApiObject = {
    ...previous,
    metadata: withDeletion(
      metadata,
      isMarked
        ? timestampOf(shortenedMs(parts, previous, graceSeconds, nowMs))
        : timestampOf(nowMs + graceSeconds * 1000),
      isMarked
        ? Math.min(metadata.deletionGracePeriodSeconds ?? graceSeconds, graceSeconds)
        : graceSeconds,
    ),
  };
  const isShortened =
    marked.metadata.deletionGracePeriodSeconds !== metadata.deletionGracePeriodSeconds;
  const own = [...(metadata.finalizers ?? []), ...(definition.deletionFinalizers ?? [])];
  const finalizers = isMarked ? metadata.finalizers : finalizersFor(own, deletion);
  if (finalizers === undefined) delete marked.metadata.finalizers;
  else marked.metadata.finalizers = [...finalizers];
  return admission.admit(undefined, previous, view, () => {
    if (isReadyToGo(definition, marked, stored)) return draftRemove(stored);
    if (isMarked && !isShortened) {
      return { changes: [], result: { outcome: 'unchanged', stored } };
    }
    return draftUpdate(definition, stored, marked, 'main');
  });
}

/** The earlier of the old end of the grace and the new one. */
function shortenedMs(
  parts: ServerParts,
  previous: ApiObject,
  graceSeconds: number,
  nowMs: number,
): number {
  const before = wallMsOf(previous.metadata.deletionTimestamp ?? '') ?? parts.clock.wallMs();
  return Math.min(before, nowMs + graceSeconds * 1000);
}

function podGrace(pod: ApiObject, deletion: DeletionRequest): number {
  const own = pod.spec?.['terminationGracePeriodSeconds'];
  return podGraceSecondsOf(deletion.gracePeriodSeconds ?? own);
}

const foreground = 'foregroundDeletion';
const orphan = 'orphan';

function finalizersFor(
  present: readonly string[],
  { propagationPolicy }: DeletionRequest,
): readonly string[] | undefined {
  const others = [...new Set(present)].filter((name) => name !== foreground && name !== orphan);
  const all =
    propagationPolicy === 'Foreground'
      ? [...others, foreground]
      : propagationPolicy === 'Orphan'
        ? [...others, orphan]
        : others;
  return all.length === 0 ? undefined : all;
}

function requirePreconditions(
  definition: ResourceDefinition,
  object: ApiObject,
  deletion: DeletionRequest,
): void {
  const { name, uid, resourceVersion } = object.metadata;
  const details = { kind: definition.plural, group: definition.group, name };
  const what = `Operation cannot be fulfilled on ${resourceName(definition)} ${JSON.stringify(name)}`;
  if (deletion.uid !== undefined && deletion.uid !== uid) {
    throw new StatusError(
      'Conflict',
      `${what}: Precondition failed: UID in precondition: ${deletion.uid}, UID in object meta: ${uid}`,
      details,
    );
  }
  if (deletion.resourceVersion !== undefined && deletion.resourceVersion !== resourceVersion) {
    throw new StatusError(
      'Conflict',
      `${what}: Precondition failed: ResourceVersion in precondition: ${deletion.resourceVersion}, ` +
        `ResourceVersion in object meta: ${resourceVersion}`,
      details,
    );
  }
}
