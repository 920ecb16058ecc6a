/** Watches: the request's side. What is sent and how fast is in watch-stream.ts. */
import { type Revision, utf8 } from '#base/mod.ts';
import { type ResourceDefinition, resourceName, StatusError } from '#platform/api/mod.ts';
import type { HttpResponse } from '#platform/io/mod.ts';
import { CompactedError, type ObjectEvent, type Watch } from '#platform/store/mod.ts';
import { holderOf } from '../authorship.ts';
import { type ServerParts, storeOf } from '../dependencies.ts';
import { watchTimeoutSecondsMax, watchTimeoutSecondsMin } from '../limits.ts';
import { flagOf, numberOf, refuseListOption, resourceVersionOf } from '../query.ts';
import { listObjects } from '../reading.ts';
import type { RouteHandler } from '../route-table.ts';
import { selectionOf } from '../selection.ts';
import type { WatchLine } from '../served-objects.ts';
import { refuseFuture } from './read.ts';
import { includeObjectOf } from './tables.ts';
import { WatchEncoder } from './watch-encoder.ts';
import { WatchStream } from './watch-stream.ts';

export function watchHandler(parts: ServerParts, definition: ResourceDefinition): RouteHandler {
  const { watchBudget } = parts;
  return async (context) => {
    const { query, request } = context;
    const namespace = context.parameters['namespace'] ?? '';
    const store = storeOf(parts, definition);
    const selection = selectionOf(query, definition);
    const asked = resourceVersionOf(query);
    const sendInitial = initialEventsOf(query);
    const bookmarks = flagOf(query, 'allowWatchBookmarks') || sendInitial === true;
    const timeoutSeconds =
      // Zero leaves it to the server, as no parameter does.
      numberOf(query, 'timeoutSeconds', 0, Number.MAX_SAFE_INTEGER) ||
      watchTimeoutSecondsMin + parts.random.below(watchTimeoutSecondsMin);
    refuseFuture(parts, definition, asked);
    const holder = holderOf(context);
    watchBudget.requireRoom(holder, 0);

    const encoder = new WatchEncoder(parts, definition, {
      selection,
      form: context.acceptance.form,
      includeObject: includeObjectOf(query),
    });
    const isFromNow = asked === undefined || asked === 0 || sendInitial === true;
    const from = isFromNow ? store.revision : (asked as Revision);
    let initial: (() => WatchLine | undefined)[] = [];
    if (isFromNow && sendInitial !== false) {
      for (const item of listObjects(parts, definition, namespace, selection).items) {
        initial.push(() => encoder.line('ADDED', item()));
      }
    }
    const waiting = initial.length;
    watchBudget.requireRoom(holder, waiting);
    const about = { resource: resourceName(definition), namespace, name: selection.onlyName };
    let stream: WatchStream | undefined = undefined;
    let watch: Watch;
    try {
      watch = store.watch(
        from,
        (batch) => {
          for (const event of batch.events) {
            if (!concerns(event, about)) continue;
            if (stream === undefined) initial.push(() => encoder.event(event));
            else stream.pushEvent(event);
          }
        },
        about.resource,
      );
    } catch (error) {
      if (error instanceof CompactedError) return expiredAnswer(from, error.oldestWatchable);
      throw error;
    }
    watchBudget.enter(holder, waiting);
    const opened = new WatchStream(parts, encoder, {
      initial,
      onInitialOver: () => watchBudget.sent(holder, waiting),
      from,
      store,
      bookmarks,
      markInitialEnd: sendInitial === true,
      timeoutMs: Math.min(timeoutSeconds, watchTimeoutSecondsMax) * 1000,
    });
    stream = opened;
    // The stream lets go of what it has sent; what is held here lasts as long as the watch.
    initial = [];
    const forgetClosing = parts.onClosing(() => opened.finish());
    const forgetRetired = onRetired(parts, definition, () => opened.finish());
    opened.onClosed(() => {
      watchBudget.leave(holder);
      forgetClosing();
      forgetRetired();
      watch.close();
    });
    request.onAbort(() => opened.destroy());
    return { status: 200, headers: streamHeaders, body: (sink) => opened.attach(sink) };
  };
}

interface Watched {
  readonly resource: string;
  /** Empty: all. */
  readonly namespace: string;
  /** The one that can match, where there is one. */
  readonly name: string | undefined;
}

function concerns(
  { object: { key } }: ObjectEvent,
  { resource, namespace, name }: Watched,
): boolean {
  return (
    key.resource === resource &&
    (namespace === '' || key.namespace === namespace) &&
    (name === undefined || key.name === name)
  );
}

const streamHeaders = {
  'content-type': 'application/json',
  'cache-control': 'no-cache, private',
};

/** Who asks for what is no longer kept is told so within the watch, where clients look for it. */
function expiredAnswer(from: number, oldest: number): HttpResponse {
  const error = new StatusError('Expired', `too old resource version: ${from} (${oldest})`);
  const line = `{"type":"ERROR","object":${JSON.stringify(error.toStatus())}}\n`;
  return {
    status: 200,
    headers: streamHeaders,
    body(sink) {
      sink.write(utf8(line));
      sink.end();
    },
  };
}

const nothingToForget = (): void => undefined;

/** Who watches a declared kind asks again when it changes, and gets what it has become. */
function onRetired(
  { registry }: ServerParts,
  definition: ResourceDefinition,
  listener: () => void,
): () => void {
  if (definition.declared === undefined) return nothingToForget;
  return registry.onChange(({ removed }) => {
    if (removed.includes(definition)) listener();
  });
}

/** Whether what there is comes first; undefined where the version that was asked for says so. */
function initialEventsOf(query: URLSearchParams): boolean | undefined {
  const match = query.get('resourceVersionMatch') ?? '';
  if (query.get('sendInitialEvents') === null) {
    if (match === '') return undefined;
    throw refuseListOption(
      'resourceVersionMatch',
      'is forbidden for watch unless sendInitialEvents is provided',
    );
  }
  if (match !== 'NotOlderThan') {
    throw refuseListOption('sendInitialEvents', 'needs resourceVersionMatch=NotOlderThan');
  }
  return flagOf(query, 'sendInitialEvents');
}
