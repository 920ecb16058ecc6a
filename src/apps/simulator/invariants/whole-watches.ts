/**
 * 4. A watch has no gap, no duplicate and no step back: what a client is shown over
 * HTTPS, across reconnections and restarts, is exactly what was committed, in
 * order, each once. A bookmark never runs ahead of what was shown.
 */
import { resourceName, StatusError, type ApiObject, type resources } from '#platform/api/mod.ts';
import { sleep } from '#platform/io/mod.ts';
import type { Fleet } from '../fleet.ts';
import type { Truth, TruthEvent } from '../truth.ts';
import { invariants, type Violate } from './invariants.ts';

const pauseMs = 1_000;
/** A watch is begun again after this: nobody tells a client that the other machine is gone. */
const watchMs = { least: 5_000, most: 60_000 };

export interface WatchObserver {
  /** Reconnections that there were: without them the check says less. */
  readonly restarts: () => number;
  /** How many events have been compared. */
  readonly compared: () => number;
  /** Whether everything committed has been shown. */
  isCurrent(): boolean;
  close(): void;
}

/** Watches a kind over the API for as long as the simulation runs. */
export function startWatchObserver(
  fleet: Fleet,
  resource: (typeof resources)[keyof typeof resources],
  truth: Truth,
  violate: Violate,
): WatchObserver {
  const name = resourceName(resource);
  const random = fleet.world.random(`watch ${name}`);
  let revision = 0;
  let next = 0;
  let restarts = 0;
  let compared = 0;
  const state = { isClosed: false };
  let watch: { close(): void } | undefined;
  const fail = (why: string): void => violate(invariants.wholeWatches, `a watch of ${name} ${why}`);
  const textOfEvent = (event: TruthEvent | undefined): string =>
    event === undefined ? 'nothing' : `${event.type} ${event.name} at ${event.revision}`;

  /** The first committed event after a revision. */
  const indexAfter = (after: number): number => {
    const events = truth.eventsOf(name);
    let index = events.length;
    while (index > 0 && (events[index - 1]?.revision ?? 0) > after) index -= 1;
    return index;
  };

  const take = (type: string, object: ApiObject): void => {
    const shown = {
      revision: Number(object.metadata.resourceVersion),
      type: type === 'DELETED' ? 'delete' : 'put',
      name: object.metadata.name ?? '',
      uid: object.metadata.uid ?? '',
    } as const;
    const due = truth.eventsOf(name)[next];
    if (
      due === undefined ||
      due.revision !== shown.revision ||
      due.type !== shown.type ||
      due.uid !== shown.uid
    ) {
      fail(`showed ${textOfEvent(shown)} where ${textOfEvent(due)} was due`);
      return;
    }
    next += 1;
    compared += 1;
    revision = shown.revision;
  };

  const bookmark = (version: number): void => {
    if (version < revision) fail(`has a bookmark at ${version} after ${revision}`);
    const due = truth.eventsOf(name)[next];
    if (due !== undefined && due.revision <= version) {
      fail(`has a bookmark at ${version} before it showed ${textOfEvent(due)}`);
    }
    revision = version;
  };

  const list = async (): Promise<void> => {
    const { items, resourceVersion } = await fleet.operator.client.list(resource);
    revision = Number(resourceVersion);
    next = indexAfter(revision);
    const newest = items.find((item) => Number(item.metadata.resourceVersion) > revision);
    if (newest !== undefined) fail(`began with a list at ${revision} that holds a newer object`);
  };

  /** Resolves when the watch is over: true where the next must begin with a list. */
  const follow = (): Promise<boolean> =>
    new Promise((resolve) => {
      const { least, most } = watchMs;
      fleet.operatorHost.ports.timers.after(
        fleet.pace.stretch * random.between(least, most),
        () => {
          watch?.close();
          resolve(false);
        },
      );
      watch = fleet.operator.client.watch(
        resource,
        { resourceVersion: String(revision) },
        {
          onEvent: (event) => {
            if (state.isClosed) return;
            if (event.type === 'BOOKMARK') bookmark(Number(event.resourceVersion));
            else take(event.type, event.object);
          },
          // 410: the server no longer knows what came after that revision.
          onEnd: (error) => resolve(error instanceof StatusError && error.httpStatus === 410),
        },
      );
    });

  const run = async (): Promise<void> => {
    let mustList = true;
    while (!state.isClosed) {
      try {
        if (mustList) await list();
        mustList = await follow();
        restarts += 1;
      } catch {
        // The server is away; what it shows when it is back is what counts.
      }
      await sleep(fleet.operatorHost.ports.timers, pauseMs * fleet.pace.stretch);
    }
  };
  void run();

  return {
    restarts: () => restarts,
    compared: () => compared,
    isCurrent: () => next === truth.eventsOf(name).length,
    close() {
      state.isClosed = true;
      watch?.close();
    },
  };
}
