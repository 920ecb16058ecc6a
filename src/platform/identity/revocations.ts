/**
 * Which keys are refused, as the store has it: read once, then kept by a watch.
 *
 * Invariant: what the store says at its revision is what `isRevoked` answers.
 */
import type { Store, StoredObject } from '#platform/store/mod.ts';
import { keyIdOf, keyIdOfSerial } from './key-id.ts';
import { nodeIdentityResource, nodeRecordOf, refusedKeysOf } from './node-records.ts';

export interface Revocations {
  /** Of any certificate, by its serial number in lower-case hexadecimal. */
  isRevoked(serialNumber: string): boolean;
  /** Called after each change of what `isRevoked` answers. */
  onRevoked(listener: () => void): void;
  close(): void;
}

export function followRevocations(store: Store): Revocations {
  const refusedOf = new Map<string, readonly string[]>();
  const listeners: (() => void)[] = [];
  const take = (object: StoredObject): void => {
    const ids = refusedKeysOf(nodeRecordOf(object)).map(keyIdOf);
    if (ids.length === 0) refusedOf.delete(object.key.name);
    else refusedOf.set(object.key.name, ids);
  };
  for (const object of store.list(nodeIdentityResource)) take(object);
  let refusedKeyIds: ReadonlySet<string> = new Set([...refusedOf.values()].flat());
  const watch = store.watch(store.revision, (batch) => {
    let changed = false;
    for (const { type, object } of batch.events) {
      if (object.key.resource !== nodeIdentityResource) continue;
      changed = true;
      if (type === 'delete') refusedOf.delete(object.key.name);
      else take(object);
    }
    if (!changed) return;
    refusedKeyIds = new Set([...refusedOf.values()].flat());
    for (const listener of listeners) listener();
  });
  return {
    isRevoked: (serialNumber) => refusedKeyIds.has(keyIdOfSerial(serialNumber)),
    onRevoked(listener) {
      listeners.push(listener);
    },
    close: () => watch.close(),
  };
}
