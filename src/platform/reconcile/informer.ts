/**
 * Keeps a copy of all objects of one kind and tells of every change: a list,
 * then a watch from there, and a new list where the server's history no longer
 * reaches back.
 *
 * Invariants:
 * 1. Handlers see every object that exists, at least in its latest version, and
 *    every deletion; not every version in between.
 * 2. Failures are retried with growing, jittered delays until close.
 */
import { errorText } from '#base/mod.ts';
import { type ApiObject, type GroupVersionResource, StatusError } from '#platform/api/mod.ts';
import type { Client, ListOptions, WatchEvent } from '#platform/client/mod.ts';
import type { Logger, Random, Timer, Timers } from '#platform/io/mod.ts';
import { backOffMs, type BackOffLimits } from './back-off.ts';
import { type Change, type IndexOf, ObjectCache } from './object-cache.ts';

export interface InformerOptions extends ListOptions {
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  /** Beside the built-in `uid`, `owner` (owners' uids) and `namespace`. */
  readonly indexes?: Readonly<Record<string, IndexOf>>;
  readonly backOff?: BackOffLimits;
}

export interface Informer<Kind extends ApiObject = ApiObject> {
  readonly resource: GroupVersionResource;
  start(): void;
  close(): void;
  /** Resolves after the first complete list; never, when closed before. */
  whenSynced(): Promise<void>;
  hasSynced(): boolean;
  get(key: string): Kind | undefined;
  list(): Kind[];
  lookup(index: string, value: string): Kind[];
  /** Called for every change, and at once for each object that is known already. */
  onChange(handler: (change: Change<Kind>) => void): void;
  /** Takes in the answer to an own write, so that the next look sees it. */
  observe(object: ApiObject): void;
}

const defaultBackOff: BackOffLimits = { firstMs: 200, maxMs: 30_000 };

export function createInformer<Kind extends ApiObject = ApiObject>(
  client: Client,
  resource: GroupVersionResource,
  options: InformerOptions,
): Informer<Kind> {
  const { timers, random, form, namespace, labelSelector, fieldSelector } = options;
  const logger = options.logger.with({ informer: resource.plural });
  const selection: ListOptions = {
    ...(form === undefined ? {} : { form }),
    ...(namespace === undefined ? {} : { namespace }),
    ...(labelSelector === undefined ? {} : { labelSelector }),
    ...(fieldSelector === undefined ? {} : { fieldSelector }),
  };
  const handlers: ((change: Change<Kind>) => void)[] = [];
  const cache = new ObjectCache<Kind>(options.indexes ?? {}, (change) => {
    for (const handler of handlers) handler(change);
  });
  const synced = Promise.withResolvers<void>();
  let isSynced = false;
  let started = false;
  let closed = false;
  let failures = 0;
  /** Undefined: the next thing to do is a list. */
  let watchFrom: string | undefined;
  let watch: { close(): void } | undefined;
  let timer: Timer | undefined;

  function next(): void {
    if (closed) return;
    if (watchFrom === undefined) {
      list().then(next, failed);
    } else {
      watch = client.watch(
        resource,
        { ...selection, resourceVersion: watchFrom },
        { onEvent, onEnd },
      );
    }
  }

  async function list(): Promise<void> {
    const { items, resourceVersion } = await client.list(resource, selection);
    if (closed) return;
    cache.replace(items as readonly Kind[], Number(resourceVersion));
    watchFrom = resourceVersion;
    if (isSynced) return;
    isSynced = true;
    synced.resolve();
  }

  function onEvent(event: WatchEvent): void {
    if (closed) return;
    failures = 0;
    switch (event.type) {
      case 'ADDED':
      case 'MODIFIED':
        cache.put(event.object as Kind);
        watchFrom = event.object.metadata.resourceVersion;
        break;
      case 'DELETED':
        cache.delete(event.object as Kind);
        watchFrom = event.object.metadata.resourceVersion;
        break;
      case 'BOOKMARK':
        cache.seen(Number(event.resourceVersion));
        watchFrom = event.resourceVersion;
        break;
    }
  }

  function onEnd(error: Error | undefined): void {
    watch = undefined;
    // The server ends watches after some time; that is no reason to wait longer and longer.
    if (error === undefined) failures = 0;
    // InternalError: what comes next cannot be shown, but what there is now perhaps can.
    const isToBeListed = ['Expired', 'Gone', 'InternalError'];
    if (error instanceof StatusError && isToBeListed.includes(error.reason)) {
      watchFrom = undefined;
    }
    failed(error);
  }

  function failed(error: unknown): void {
    if (closed) return;
    failures += 1;
    const delayMs = backOffMs(options.backOff ?? defaultBackOff, failures, random);
    if (error !== undefined) {
      logger.log('debug', 'watch ended, will go on', { error: errorText(error), delayMs });
    }
    timer = timers.after(delayMs, next);
  }

  return {
    resource,
    start() {
      if (started) return;
      started = true;
      next();
    },
    close() {
      closed = true;
      watch?.close();
      timer?.cancel();
    },
    whenSynced: () => synced.promise,
    hasSynced: () => isSynced,
    get: (key) => cache.get(key),
    list: () => cache.list(),
    lookup: (index, value) => cache.lookup(index, value),
    onChange(handler) {
      handlers.push(handler);
      for (const object of cache.list()) handler({ type: 'added', object, previous: undefined });
    },
    observe: (object) => cache.observe(object as Kind),
  };
}
