/**
 * Takes away how far the outbox of a node was applied, once the node is deleted.
 *
 * Invariant: the cursor of a node that is there stays.
 */
import { errorText } from '#base/mod.ts';
import type { Logger, Timers } from '#platform/io/mod.ts';
import type { Store } from '#platform/store/mod.ts';
import { cursorResource, forgetCursor } from './reports.ts';
import { SecondLook } from './second-look.ts';
import { nodeKey } from './stored-facets.ts';

export interface OutboxCursorsDependencies {
  readonly store: Store;
  readonly timers: Timers;
  readonly logger: Logger;
}

export class OutboxCursors {
  readonly #dependencies: OutboxCursorsDependencies;
  readonly #secondLook: SecondLook;

  constructor(dependencies: OutboxCursorsDependencies) {
    this.#dependencies = dependencies;
    this.#secondLook = new SecondLook(dependencies.timers, () => this.lookAtAll());
  }

  /** For a hub that starts: of nodes that were deleted before it did. */
  lookAtAll(): void {
    const { store } = this.#dependencies;
    for (const { key } of store.list(cursorResource)) {
      if (store.get(nodeKey(key.name)) === undefined) this.forget(key.name);
    }
  }

  /** The node is gone. */
  forget(nodeName: string): void {
    const { store, logger } = this.#dependencies;
    store
      .transact((view) => {
        const isGone = view.get(nodeKey(nodeName)) === undefined;
        return { changes: isGone ? forgetCursor(view, nodeName) : [], result: undefined };
      })
      .catch((error: unknown) => {
        if (!this.#secondLook.request()) return;
        const what = 'the cursor of a deleted node is left over; it is tried again';
        logger.log('warn', what, { node: nodeName, error: errorText(error) });
      });
  }

  close(): void {
    this.#secondLook.close();
  }
}
