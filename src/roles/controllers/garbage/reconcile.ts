/**
 * Deletes what nobody owns any more, and lets owners go in the order that was
 * asked for: their dependents first (foreground), or without them (orphan).
 *
 * A key is `<plural>.<group>|<namespace>/<name>`. Before an object is deleted its
 * owners are asked for at the server: the copy in memory may be behind.
 *
 * Invariants:
 * 1. Only an answer that names the owner says that it is gone. That a path or a kind is
 *    not served says nothing of its objects.
 * 2. What is in no namespace cannot be owned from within one: such a reference is told
 *    of in an event, and changes nothing.
 */
import type { JsonObject } from '#base/mod.ts';
import {
  type ApiObject,
  apiVersionOf,
  type OwnerReference,
  StatusError,
} from '#platform/api/mod.ts';
import { keyOf, type ReconcileResult } from '#platform/reconcile/mod.ts';
import type { ControllerContext, KindInfo } from '../shared/context.ts';
import {
  blocksOwner,
  foregroundFinalizer,
  orphanFinalizer,
  type OwnerState,
  planGarbage,
  saysOwnerIsGone,
} from './plan-garbage.ts';

type Dependent = { readonly kind: KindInfo; readonly object: ApiObject };

export function watchForGarbage({ informers, queue }: ControllerContext): void {
  informers.onKind(({ kind, informer, isDeclared }) => {
    informer.onChange(({ type, object, previous }) => {
      const { uid = '', ownerReferences = [], deletionTimestamp } = object.metadata;
      const before = previous?.metadata.ownerReferences ?? [];
      const isLeaving = deletionTimestamp !== undefined;
      const ownersChanged = JSON.stringify(before) !== JSON.stringify(ownerReferences);
      if (type !== 'deleted' && (isLeaving || ownersChanged)) queue.add(queueKey(kind, object));
      if (type === 'deleted' || isLeaving) {
        for (const dependent of dependentsOf(informers, kind, uid)) {
          queue.add(queueKey(dependent.kind, dependent.object));
        }
      }
      // An owner that waits for this one may be free now.
      if (type === 'deleted' || (type === 'updated' && ownersChanged)) {
        for (const owner of before) queueByUid(informers, queue, owner.uid);
      }
    });
    // Of its objects nothing could be said before.
    if (isDeclared) queueOwnedByKind(informers, queue, kind);
  });
}

function queueOwnedByKind(
  informers: ControllerContext['informers'],
  queue: ControllerContext['queue'],
  owner: KindInfo,
): void {
  for (const { kind, informer } of informers.all) {
    for (const object of informer.list()) {
      const isOwned = object.metadata.ownerReferences?.some(
        (reference) => reference.kind === owner.kind && groupOf(reference) === owner.resource.group,
      );
      if (isOwned === true) queue.add(queueKey(kind, object));
    }
  }
}

function queueByUid(
  informers: ControllerContext['informers'],
  queue: ControllerContext['queue'],
  uid: string,
): void {
  for (const { kind, informer } of informers.all) {
    for (const object of informer.lookup('uid', uid)) queue.add(queueKey(kind, object));
  }
}

function queueKey(kind: KindInfo, object: ApiObject): string {
  return `${resourceKey(kind)}|${keyOf(object)}`;
}

function resourceKey({ resource }: KindInfo): string {
  return `${resource.plural}.${resource.group}`;
}

function dependentsOf(
  informers: ControllerContext['informers'],
  owner: KindInfo,
  uid: string,
): Dependent[] {
  return informers.all
    .filter(({ kind }) => canOwn(owner, kind))
    .flatMap(({ kind, informer }) =>
      informer.lookup('owner', uid).map((object) => ({ kind, object })),
    );
}

/** A reference names no namespace: it means that of the dependent, which has to have one. */
function canOwn(owner: KindInfo, dependent: KindInfo): boolean {
  return dependent.namespaced || !owner.namespaced;
}

export function garbageReconciler(
  context: ControllerContext,
): (key: string) => Promise<ReconcileResult | void> {
  return async (key) => {
    const bar = key.indexOf('|');
    const resource = key.slice(0, bar);
    const source = context.informers.all.find(({ kind }) => resourceKey(kind) === resource);
    const object = source?.informer.get(key.slice(bar + 1));
    if (source !== undefined && object !== undefined) {
      await reconcileObject(context, source.kind, object);
    }
  };
}

async function reconcileObject(
  context: ControllerContext,
  kind: KindInfo,
  object: ApiObject,
): Promise<void> {
  const dependents = dependentsOf(context.informers, kind, object.metadata.uid ?? '');
  const states = new Map<string, OwnerState>();
  for (const owner of object.metadata.ownerReferences ?? []) {
    states.set(owner.uid, await stateOfOwner(context, { kind, object }, owner));
  }
  const plan = planGarbage(
    object,
    (owner) => states.get(owner.uid) ?? 'unknown',
    dependents.length > 0,
  );
  switch (plan.type) {
    case 'keep':
      return;
    case 'delete':
      return remove(context, kind, object, plan.policy);
    case 'dropOwners':
      return patch(context, kind, object, {
        ownerReferences: plan.ownerReferences as unknown as JsonObject[],
      });
    case 'orphanDependents':
      for (const dependent of dependents) await forgetOwner(context, dependent, object);
      return dropFinalizer(context, kind, object, orphanFinalizer);
    case 'deleteDependents': {
      const uid = object.metadata.uid ?? '';
      for (const dependent of dependents) {
        if (dependent.object.metadata.deletionTimestamp !== undefined) continue;
        const key = queueKey(dependent.kind, dependent.object);
        // Each dependent is judged by all of its owners, in its own turn.
        context.queue.add(key);
      }
      if (dependents.some((dependent) => blocksOwner(dependent.object, uid))) return undefined;
      return dropFinalizer(context, kind, object, foregroundFinalizer);
    }
  }
}

/**
 * What the copy says, confirmed by the server where it says that the owner is not there.
 * Throws StatusError where the server cannot tell; that is tried again.
 */
async function stateOfOwner(
  context: ControllerContext,
  dependent: Dependent,
  owner: OwnerReference,
): Promise<OwnerState> {
  const { client, informers } = context;
  const source = informers.all.find(
    ({ kind }) => kind.kind === owner.kind && groupOf(owner) === kind.resource.group,
  );
  // Of a kind that is not known here nothing can be said, so nothing is done.
  if (source === undefined) return 'unknown';
  if (!canOwn(source.kind, dependent.kind)) {
    tellOfInvalidNamespace(context, dependent, owner);
    return 'unknown';
  }
  const namespace = source.kind.namespaced ? (dependent.object.metadata.namespace ?? '') : '';
  const known = source.informer.get(namespace === '' ? owner.name : `${namespace}/${owner.name}`);
  if (known !== undefined && known.metadata.uid === owner.uid) return stateOf(known);
  try {
    const found = await client.get(source.kind.resource, namespace, owner.name);
    if (found.metadata.uid === owner.uid) return stateOf(found);
  } catch (error) {
    if (!saysOwnerIsGone(error, owner)) throw error;
  }
  // It goes all the same, but whoever misses it can find out why.
  const sameUid = source.informer.lookup('uid', owner.uid);
  if (sameUid.some(({ metadata }) => (metadata.namespace ?? '') !== namespace)) {
    tellOfInvalidNamespace(context, dependent, owner);
  }
  return 'gone';
}

function tellOfInvalidNamespace(
  { events }: ControllerContext,
  { kind, object }: Dependent,
  { apiVersion, kind: ownerKind, name, uid }: OwnerReference,
): void {
  const owner = `[${apiVersion}/${ownerKind}, name: ${name}, uid: ${uid}]`;
  const where = kind.namespaced
    ? `does not exist in namespace ${JSON.stringify(object.metadata.namespace)}`
    : 'is in a namespace, and what it is to own is in none';
  events.record({
    regarding: { ...object, apiVersion: apiVersionOf(kind.resource), kind: kind.kind },
    severity: 'Warning',
    reason: 'OwnerRefInvalidNamespace',
    message: `ownerRef ${owner} ${where}; an owner is in the namespace of what it owns, or in none`,
  });
}

function stateOf({ metadata }: ApiObject): OwnerState {
  const waits = metadata.finalizers?.includes(foregroundFinalizer) === true;
  return metadata.deletionTimestamp !== undefined && waits ? 'waiting' : 'present';
}

/** In which version an owner is named says nothing: it is the same object in all. */
function groupOf({ apiVersion }: OwnerReference): string {
  const slash = apiVersion.indexOf('/');
  return slash < 0 ? '' : apiVersion.slice(0, slash);
}

async function remove(
  { client }: ControllerContext,
  kind: KindInfo,
  { metadata }: ApiObject,
  propagationPolicy: 'Background' | 'Foreground',
): Promise<void> {
  const { namespace = '', name, uid } = metadata;
  try {
    await client.delete(kind.resource, namespace, name, {
      propagationPolicy,
      ...(uid === undefined ? {} : { uid }),
    });
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

async function forgetOwner(
  context: ControllerContext,
  { kind, object }: Dependent,
  owner: ApiObject,
): Promise<void> {
  const kept = (object.metadata.ownerReferences ?? []).filter(
    (reference) => reference.uid !== owner.metadata.uid,
  );
  await patch(context, kind, object, { ownerReferences: kept as unknown as JsonObject[] });
}

async function dropFinalizer(
  context: ControllerContext,
  kind: KindInfo,
  object: ApiObject,
  finalizer: string,
): Promise<void> {
  const kept = (object.metadata.finalizers ?? []).filter((name) => name !== finalizer);
  await patch(context, kind, object, { finalizers: kept });
}

/** Changes metadata of exactly the version that was looked at. */
async function patch(
  { client, informers }: ControllerContext,
  kind: KindInfo,
  object: ApiObject,
  metadata: JsonObject,
): Promise<void> {
  const { namespace = '', name, resourceVersion = '' } = object.metadata;
  const source = informers.all.find((candidate) => candidate.kind === kind);
  try {
    const changed = await client.mergePatch(kind.resource, namespace, name, {
      metadata: { ...metadata, resourceVersion },
    });
    if (changed.metadata.deletionTimestamp === undefined) source?.informer.observe(changed);
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

function isGone(error: unknown): boolean {
  return error instanceof StatusError && error.reason === 'NotFound';
}
