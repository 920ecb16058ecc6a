/** Watches: the request's side. What is sent and how fast is in watch-stream.ts. */
import { SelvageError } from '#base/mod.ts';
import { type ResourceDefinition, resourceName, StatusError } from '#platform/api/mod.ts';
import type { CommittedBatch, Watch } from '#platform/store/mod.ts';
import type { Revision } from '#base/mod.ts';
import { type ServerParts, storeOf } from '../dependencies.ts';
import { concurrentWatchesMax, watchTimeoutSecondsMax, watchTimeoutSecondsMin } from '../limits.ts';
import { flagOf, numberOf, resourceVersionOf } from '../query.ts';
import { listObjects } from '../reading.ts';
import type { RouteHandler } from '../route-table.ts';
import { selectionOf } from '../selection.ts';
import type { ServedObject } from '../served-objects.ts';
import { refuseFuture } from './read.ts';
import { includeObjectOf } from './tables.ts';
import { WatchEncoder } from './watch-encoder.ts';
import { WatchStream } from './watch-stream.ts';

/** Counts the open watches of a server. */
export interface WatchBudget {
  open: number;
}

export function watchHandler(
  parts: ServerParts,
  definition: ResourceDefinition,
  budget: WatchBudget,
): RouteHandler {
  return async (context) => {
    const { query, request } = context;
    const namespace = context.parameters['namespace'] ?? '';
    const store = storeOf(parts, definition);
    const selection = selectionOf(query, definition);
    const asked = resourceVersionOf(query);
    const sendInitial = initialEventsOf(query);
    const bookmarks = flagOf(query, 'allowWatchBookmarks') || sendInitial;
    const timeoutSeconds =
      // Zero leaves it to the server, as no parameter does.
      numberOf(query, 'timeoutSeconds', 0, Number.MAX_SAFE_INTEGER) ||
      watchTimeoutSecondsMin + parts.random.below(watchTimeoutSecondsMin);
    refuseFuture(parts, definition, asked);
    if (budget.open >= concurrentWatchesMax) {
      throw new StatusError(
        'TooManyRequests',
        `the server has ${concurrentWatchesMax} watches open, which is the most at one time`,
        { retryAfterSeconds: 5 },
      );
    }

    let from = asked === undefined || asked === 0 ? undefined : (asked as Revision);
    let initial: readonly (() => ServedObject)[] = [];
    if (from === undefined || sendInitial) {
      const listing = listObjects(parts, definition, namespace, selection);
      initial = listing.items;
      from = listing.revision as Revision;
    }
    const encoder = new WatchEncoder(parts, definition, {
      selection,
      form: context.acceptance.form,
      includeObject: includeObjectOf(query),
    });
    const stream = new WatchStream(parts, encoder, {
      initial,
      from,
      revisionNow: () => store.revision,
      bookmarks,
      markInitialEnd: sendInitial,
      timeoutMs: Math.min(timeoutSeconds, watchTimeoutSecondsMax) * 1000,
    });
    const resource = resourceName(definition);
    let watch: Watch | undefined;
    budget.open += 1;
    const forgetClosing = parts.onClosing(() => stream.finish());
    const forgetRetired = onRetired(parts, definition, () => stream.finish());
    stream.onClosed(() => {
      budget.open -= 1;
      forgetClosing();
      forgetRetired();
      watch?.close();
    });
    try {
      const take = (batch: CommittedBatch): void => {
        for (const event of batch.events) {
          const { key } = event.object;
          if (key.resource !== resource || (namespace !== '' && key.namespace !== namespace))
            continue;
          const line = encoder.event(event);
          if (line !== undefined) stream.push(line);
        }
      };
      watch = store.watch(from, take, resource);
    } catch (error) {
      stream.destroy();
      throw tooOldError(error, from, store.oldestWatchable);
    }
    if (stream.isClosed) {
      // Ended while the past was handed over: nobody would close the watch otherwise.
      watch.close();
      throw tooOldError(undefined, from, store.revision);
    }
    request.onAbort(() => stream.destroy());
    return {
      status: 200,
      headers: { 'content-type': 'application/json', 'cache-control': 'no-cache, private' },
      body: (sink) => stream.attach(sink),
    };
  };
}

/** Who watches a declared kind asks again when it changes, and gets what it has become. */
function onRetired(
  { registry }: ServerParts,
  definition: ResourceDefinition,
  listener: () => void,
): () => void {
  if (definition.declared === undefined) return () => undefined;
  return registry.onChange(({ removed }) => {
    if (removed.includes(definition)) listener();
  });
}

function initialEventsOf(query: URLSearchParams): boolean {
  if (query.get('sendInitialEvents') === null) return false;
  if (query.get('resourceVersionMatch') !== 'NotOlderThan') {
    throw new StatusError(
      'BadRequest',
      'sendInitialEvents needs resourceVersionMatch=NotOlderThan',
    );
  }
  return flagOf(query, 'sendInitialEvents');
}

function tooOldError(error: unknown, from: number, oldest: number): unknown {
  const isCompacted = error instanceof SelvageError && error.code === 'STORE_COMPACTED';
  if (error !== undefined && !isCompacted) return error;
  return new StatusError('Expired', `too old resource version: ${from} (${oldest})`, {
    cause: error,
  });
}
