/**
 * Planted bugs. Each falsifies the program at a seam that the simulator owns (a
 * port, or what stands between the assembled parts), and must be found by the
 * checker of the invariant that it names. The one that no seam can bring about
 * asks `isSabotaged` in the program.
 */
import { isJsonObject, strictTextOf, utf8, type SabotageHook } from '#base/mod.ts';
import type { StorePart } from '#apps/assembly/mod.ts';
import { joinTokenResource, nodeIdentityResource } from '#platform/identity/mod.ts';
import { readBody, type Disk, type HttpServer, type Spawn, type Timers } from '#platform/io/mod.ts';
import type { Host } from '#platform/sim/mod.ts';
import type {
  Change,
  CommittedBatch,
  Store,
  StoredObject,
  StoreView,
} from '#platform/store/mod.ts';
import type { Outbox, Replica } from '#platform/sync/mod.ts';
import { diskWithSync } from './disk-seam.ts';
import { invariants, type Invariant } from './invariants/invariants.ts';
import { delegatingStore } from './store-seam.ts';

export interface Sabotage {
  readonly name: string;
  /** The invariant that must trip. */
  readonly invariant: Invariant;
  /** What the program does wrong, as the end of "it …". */
  readonly what: string;
  serverDisk?(disk: Disk): Disk;
  httpServer?(server: HttpServer): HttpServer;
  store?(store: Store, part: StorePart, timers: Timers): Store;
  /** Before the agent's process opens its disk. */
  beforeAgent?(host: Host): void;
  agentSpawn?(spawn: Spawn): Spawn;
  agentTimers?(timers: Timers): Timers;
  replica?(replica: Replica): Replica;
  outbox?(outbox: Outbox): Outbox;
  /** The agent keeps the certificate with which it joined. */
  readonly forgetsToRenew?: true;
  readonly hook?: SabotageHook;
  /** Only a second run of the seed can show it. */
  readonly isSeenTwice?: true;
  /** Only a fleet that lives for days can show it. */
  readonly isLong?: true;
  /** Only a fleet whose server was replaced can show it. */
  readonly isRestored?: true;
}

const requestBytesMax = 1 << 20;
/** Enough to reach into the last record of an outbox, whatever it holds. */
const tornBytes = 40;
const outboxLogFolder = 'selvage/agent/outbox/log';
/** How long a batch may wait for one to change places with. */
const heldMs = 200;
/** Between two transactions that have changed places: longer than one turn. */
const apartMs = 5;
const dropEvery = 9;
/** Uids begin with a hexadecimal digit: three of four pods. */
const unplacedBelow = 'c';

/** Simulations in this process so far: what a program must not depend on. */
let runsInThisProcess = 0;

function touches(batch: CommittedBatch, resource: string): boolean {
  return batch.events.some(({ object }) => object.key.resource === resource);
}

/**
 * Lets two transactions change places: the later comes as the earlier, then the other,
 * far enough behind it that both are sent.
 */
function swapped(
  listener: (batch: CommittedBatch) => void,
  timers: Timers,
): (batch: CommittedBatch) => void {
  let held: CommittedBatch | undefined;
  /** What comes while the earlier of two waits to come as the later. */
  let behind: CommittedBatch[] | undefined;
  const take = (batch: CommittedBatch): void => {
    if (behind !== undefined) {
      behind.push(batch);
      return;
    }
    if (held === undefined) {
      if (!touches(batch, 'pods')) return listener(batch);
      held = batch;
      timers.after(heldMs, () => {
        if (held !== batch) return;
        held = undefined;
        listener(batch);
      });
      return;
    }
    const first = held;
    held = undefined;
    listener({ ...first, events: batch.events });
    behind = [];
    timers.after(apartMs, () => {
      const waiting = behind ?? [];
      behind = undefined;
      listener({ ...batch, events: first.events });
      for (const next of waiting) take(next);
    });
  };
  return take;
}

/** One part of the server commits other changes than it has decided; without those that become undefined. */
function withChanges(
  of: StorePart,
  falsified: (change: Change, view: StoreView) => Change | undefined,
): (store: Store, part: StorePart) => Store {
  return (store, part) =>
    part !== of
      ? store
      : delegatingStore(store, {
          transact: (decide) =>
            store.transact((view) => {
              const { changes, result } = decide(view);
              return { changes: changes.flatMap((one) => falsified(one, view) ?? []), result };
            }),
        });
}

/** Takes the end of the newest file of a folder away. */
function cutLastFile(host: Host, folder: string, cutBytes: number): void {
  const { tree } = host.machineDisk;
  const name = tree.list(folder).findLast((entry) => entry.name.includes('segment'))?.name;
  const file = name === undefined ? undefined : tree.find(`${folder}/${name}`);
  if (file?.kind !== 'file' || file.sizeBytes <= 2 * cutBytes) return;
  file.truncate(file.sizeBytes - cutBytes);
  file.sync();
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

export const sabotages: readonly Sabotage[] = [
  {
    name: 'acknowledge-before-sync',
    invariant: invariants.acknowledgedSurvives,
    what: 'acknowledges writes before they are synced',
    serverDisk: (disk) => diskWithSync(disk, async () => {}),
  },
  {
    name: 'ignore-an-fsync-error',
    invariant: invariants.acknowledgedSurvives,
    what: 'goes on after a failed fsync as if nothing had happened',
    serverDisk: (disk) => diskWithSync(disk, (sync) => sync().catch(() => undefined)),
  },
  {
    name: 'show-a-stale-object',
    invariant: invariants.stateIsFold,
    what: 'goes on showing an object as it was, from a cache that missed a change of it',
    store(store, part) {
      if (part !== 'server') return store;
      const cached = new Map<string, StoredObject>();
      const stale = (object: StoredObject): StoredObject => {
        if (object.key.resource !== 'deployments.apps') return object;
        const known = cached.get(object.uid);
        if (known === undefined) cached.set(object.uid, object);
        return known ?? object;
      };
      return delegatingStore(store, {
        list: (resource, namespace) => store.list(resource, namespace).map(stale),
      });
    },
  },
  {
    name: 'skip-a-version-check',
    invariant: invariants.oneOrder,
    what: 'takes an update whose resourceVersion is old',
    httpServer: (server) => ({
      listen: (options, handler) =>
        server.listen(options, async (request) => {
          if (request.method !== 'PUT' || !request.path.includes('/configmaps/')) {
            return handler(request);
          }
          const bytes = await readBody(request.body, requestBytesMax);
          const object: unknown = JSON.parse(strictTextOf(bytes));
          if (isJsonObject(object) && isJsonObject(object['metadata'])) {
            delete object['metadata']['resourceVersion'];
          }
          const body = utf8(JSON.stringify(object));
          const headers = { ...request.headers, 'content-length': String(body.length) };
          return handler({
            ...request,
            headers,
            body: once(body),
            onAbort: (listener) => request.onAbort(listener),
          });
        }),
    }),
  },
  {
    name: 'drop-a-watch-event',
    invariant: invariants.wholeWatches,
    what: 'leaves a transaction out of the watches of the API now and then',
    store(store, part) {
      if (part !== 'server') return store;
      let count = 0;
      return delegatingStore(store, {
        watch: (from, listener) =>
          store.watch(from, (batch) => {
            count += 1;
            if (count % dropEvery !== 0) listener(batch);
          }),
      });
    },
  },
  {
    name: 'reuse-a-sequence',
    invariant: invariants.outboxDelivers,
    what: 'gives the last sequence of an outbox again after a restart',
    beforeAgent: (host) => cutLastFile(host, outboxLogFolder, tornBytes),
    hook: 'reuse-a-sequence',
  },
  {
    name: 'forget-a-fence',
    invariant: invariants.supersededNeverActs,
    what: 'goes on serving a link after the node has opened a newer one',
    hook: 'forget-a-fence',
  },
  {
    name: 'obey-a-superseded-owner',
    invariant: invariants.supersededNeverActs,
    what: 'serves and obeys whoever is there, whatever its epoch and its history',
    isRestored: true,
    hook: 'obey-a-superseded-owner',
  },
  {
    name: 'restart-an-adopted-pod',
    invariant: invariants.restartDisturbsNothing,
    what: 'does not recognise what runs when an agent starts, and starts it again',
    agentSpawn: (spawn) => ({
      ...spawn,
      inspect: async () => undefined,
      table: async () => [],
    }),
  },
  {
    name: 'absence-as-deletion',
    invariant: invariants.absenceNeverDeletes,
    what: 'takes pods for deleted that are missing in an empty copy',
    replica: (replica) => ({
      get cursor() {
        const none = { incarnation: '', sequence: 0 as Store['revision'], chainHash: '' };
        return replica.cursor ?? none;
      },
      get epoch() {
        return replica.epoch;
      },
      get: (key) => replica.get(key),
      list: (resource) => replica.list(resource),
      onChange: (listener) => replica.onChange(listener),
      follow: (session) => replica.follow(session),
      close: () => replica.close(),
    }),
  },
  {
    name: 'reuse-a-join-token',
    invariant: invariants.tokenWorksOnce,
    what: 'does not write down that a join token was used',
    store: withChanges('identity', (change, view) => {
      const isUse =
        change.type === 'put' &&
        change.key.resource === joinTokenResource &&
        view.get(change.key) !== undefined;
      return isUse ? undefined : change;
    }),
  },
  {
    name: 'forget-a-revocation',
    invariant: invariants.revokedIsRefused,
    what: 'answers that a key is revoked and does not write it down',
    store: withChanges('identity', (change) => {
      const isRevocation =
        change.type === 'put' &&
        change.key.resource === nodeIdentityResource &&
        strictTextOf(change.bytes).includes('"revoked":');
      return isRevocation ? undefined : change;
    }),
  },
  {
    name: 'forget-to-renew',
    invariant: invariants.fleetConverges,
    what: 'keeps the certificate with which a node joined for ever',
    isLong: true,
    forgetsToRenew: true,
  },
  {
    name: 'lose-the-outbox-on-a-full-disk',
    invariant: invariants.outboxDelivers,
    what: 'says that an entry is kept where the disk had no room for it',
    outbox: (outbox) => ({
      get pendingCount() {
        return outbox.pendingCount;
      },
      put: (entry) => outbox.put(entry).catch(() => ({ incarnation: '', sequence: 0 })),
      declareLoss: (known) => outbox.declareLoss(known),
      deliver: (session) => outbox.deliver(session),
      close: () => outbox.close(),
    }),
  },
  {
    name: 'apply-out-of-sequence',
    invariant: invariants.copyIsPast,
    what: 'sends two transactions to the nodes in the wrong order',
    store: (store, part, timers) =>
      part !== 'hub'
        ? store
        : delegatingStore(store, {
            watch: (from, listener) => store.watch(from, swapped(listener, timers)),
          }),
  },
  {
    name: 'forget-a-tombstone',
    invariant: invariants.copyIsPast,
    what: 'does not tell nodes that an object was deleted',
    store: (store, part) =>
      part !== 'hub'
        ? store
        : delegatingStore(store, {
            watch: (from, listener) =>
              store.watch(from, (batch) =>
                listener({ ...batch, events: batch.events.filter(({ type }) => type === 'put') }),
              ),
          }),
  },
  {
    name: 'write-anothers-facet',
    invariant: invariants.oneWriter,
    what: 'writes a report of a node into what people declare',
    store: withChanges('hub', (change) => {
      const isReport =
        change.type === 'put' && change.key.resource === 'nodes' && change.facet === 'report';
      return isReport ? { ...change, facet: 'intent' } : change;
    }),
  },
  {
    name: 'forget-an-assignment',
    invariant: invariants.fleetConverges,
    what: 'leaves some pods without a node for ever',
    store: withChanges('hub', (change) => {
      const isForgotten =
        change.type === 'put' &&
        change.facet === 'assignment' &&
        change.key.resource === 'pods' &&
        change.uid < unplacedBelow;
      return isForgotten ? undefined : change;
    }),
  },
  {
    name: 'remember-an-earlier-run',
    invariant: invariants.sameTrace,
    what: 'depends on something outside of the seed',
    isSeenTwice: true,
    agentTimers(timers) {
      runsInThisProcess += 1;
      const extraMs = runsInThisProcess % 1_000;
      return { after: (delayMs, run) => timers.after(delayMs + extraMs, run) };
    },
  },
];
