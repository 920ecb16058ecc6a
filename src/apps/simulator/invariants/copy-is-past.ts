/**
 * 13. A copy is its owner's past: an object in a node's replica never goes back to
 * an older revision, is as the owner had it at that revision, and in the end the
 * replica holds exactly what the owner has for that node.
 */
import { equalBytes } from '#base/mod.ts';
import type { StoredObject } from '#platform/store/mod.ts';
import type { Replica } from '#platform/sync/mod.ts';
import { facetOf, keyText, type Truth } from '../truth.ts';
import { invariants, type Violate } from './invariants.ts';

export class CopyIsPast {
  readonly #truth: Truth;
  readonly #violate: Violate;
  readonly #replicas = new Map<string, Replica>();
  #histories = 1;

  constructor(truth: Truth, violate: Violate) {
    this.#truth = truth;
    this.#violate = violate;
  }

  /** The owner is restored from an earlier time, and its history goes on from there. */
  beginAgain(): void {
    this.#histories += 1;
  }

  forget(nodeName: string): void {
    this.#replicas.delete(nodeName);
  }

  watch(replica: Replica, nodeName: string): void {
    this.#replicas.set(nodeName, replica);
    const revisions = new Map<string, number>();
    for (const resource of ['pods', 'nodes']) {
      for (const { uid, revision } of replica.list(resource)) revisions.set(uid, revision);
    }
    let history = this.#histories;
    replica.onChange((changes) => {
      if (history !== this.#histories) {
        history = this.#histories;
        revisions.clear();
      }
      for (const { type, object } of changes) {
        const before = revisions.get(object.uid) ?? 0;
        if (type === 'put' && object.revision < before) {
          const why = `${keyText(object.key)} went back from ${before} to ${object.revision} on ${nodeName}`;
          this.#violate(invariants.copyIsPast, why);
        }
        revisions.set(object.uid, object.revision);
        this.#compareWithOwner(object, nodeName);
      }
    });
  }

  /** Where the owner still has that revision, it is the same. */
  #compareWithOwner(object: StoredObject, nodeName: string): void {
    const owner = this.#truth.ofUid(object.uid)?.object;
    if (owner === undefined || owner.revision !== object.revision) return;
    for (const [name, value] of Object.entries(object.facets)) {
      const other = owner.facets[name as keyof typeof owner.facets];
      if (other !== undefined && equalBytes(other.bytes, value.bytes)) continue;
      const why = `the ${name} of ${keyText(object.key)} on ${nodeName} is not what the owner has at ${object.revision}`;
      this.#violate(invariants.copyIsPast, why);
    }
  }

  /** What differs, once nothing is on its way any more. */
  difference(): string | undefined {
    for (const resource of ['pods', 'nodes']) {
      const owned = this.#ownedBy(resource);
      for (const [nodeName, replica] of this.#replicas) {
        const held = new Map(
          replica.list(resource).map((object) => [object.uid as string, object]),
        );
        for (const owner of owned.get(nodeName) ?? []) {
          const copy = held.get(owner.uid);
          held.delete(owner.uid);
          if (copy?.revision !== owner.revision) {
            return `${nodeName} holds ${keyText(owner.key)} at ${copy?.revision ?? 'nothing'}, its owner at ${owner.revision}`;
          }
        }
        const left = held.values().next().value;
        if (left === undefined) continue;
        const isThere = this.#truth.ofUid(left.uid)?.isDeleted === false;
        const why = isThere ? 'which is none of its own' : 'which was deleted';
        return `${nodeName} holds ${keyText(left.key)}, ${why}`;
      }
    }
    return undefined;
  }

  /** What the owner has for each node. */
  #ownedBy(resource: string): ReadonlyMap<string, readonly StoredObject[]> {
    const owned = new Map<string, StoredObject[]>();
    for (const object of this.#truth.objects()) {
      if (object.key.resource !== resource) continue;
      const nodeName =
        resource === 'nodes' ? object.key.name : facetOf(object, 'assignment')?.['nodeName'];
      if (typeof nodeName !== 'string') continue;
      const list = owned.get(nodeName);
      if (list === undefined) owned.set(nodeName, [object]);
      else list.push(object);
    }
    return owned;
  }

  requireSame(): void {
    const difference = this.difference();
    if (difference !== undefined) this.#violate(invariants.copyIsPast, difference);
  }
}
