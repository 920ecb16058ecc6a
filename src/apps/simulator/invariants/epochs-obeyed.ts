/**
 * 6, for owners of slices: a superseded epoch never acts. The epoch that a node obeys
 * never goes back, and while the server that runs is one that was replaced, nothing that
 * it says is taken into any copy.
 */
import type { Host } from '#platform/sim/mod.ts';
import type { Replica } from '#platform/sync/mod.ts';
import { keyText } from '../truth.ts';
import { invariants, type Violate } from './invariants.ts';

export class EpochsObeyed {
  readonly #violate: Violate;
  /** The highest of each node. */
  readonly #obeyed = new Map<string, number>();

  constructor(violate: Violate) {
    this.#violate = violate;
  }

  watch(replica: Replica, { name }: Host, isServerSuperseded: () => boolean): void {
    this.#look(replica, name);
    replica.onChange((changes) => {
      this.#look(replica, name);
      const [first] = changes;
      if (first === undefined || !isServerSuperseded()) return;
      const what = `${first.type} of ${keyText(first.object.key)}`;
      const why = `${name} took in a ${what} from a server that was superseded`;
      this.#violate(invariants.supersededNeverActs, why);
    });
  }

  /** Its disk is empty. */
  forget(nodeName: string): void {
    this.#obeyed.delete(nodeName);
  }

  #look({ epoch }: Replica, nodeName: string): void {
    const before = this.#obeyed.get(nodeName) ?? 0;
    this.#obeyed.set(nodeName, Math.max(epoch, before));
    if (epoch >= before) return;
    const why = `${nodeName} obeys epoch ${epoch} after it had obeyed ${before}`;
    this.#violate(invariants.supersededNeverActs, why);
  }
}
