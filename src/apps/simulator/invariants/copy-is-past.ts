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
    for (const [nodeName, replica] of this.#replicas) {
      for (const resource of ['pods', 'nodes']) {
        const held = new Map(
          replica.list(resource).map((object) => [object.uid as string, object]),
        );
        for (const owner of this.#truth.objects()) {
          if (owner.key.resource !== resource) continue;
          const belongs =
            resource === 'nodes'
              ? owner.key.name === nodeName
              : facetOf(owner, 'assignment')?.['nodeName'] === nodeName;
          const copy = held.get(owner.uid);
          held.delete(owner.uid);
          if (belongs && copy?.revision !== owner.revision) {
            return `${nodeName} holds ${keyText(owner.key)} at ${copy?.revision ?? 'nothing'}, its owner at ${owner.revision}`;
          }
          if (!belongs && copy !== undefined) {
            return `${nodeName} holds ${keyText(owner.key)}, which is none of its own`;
          }
        }
        const left = held.values().next().value;
        if (left !== undefined) return `${nodeName} holds ${keyText(left.key)}, which was deleted`;
      }
    }
    return undefined;
  }

  requireSame(): void {
    const difference = this.difference();
    if (difference !== undefined) this.#violate(invariants.copyIsPast, difference);
  }
}
