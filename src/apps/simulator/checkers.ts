/**
 * The invariants at work on one fleet: what is put between its parts, what is asked
 * when a server starts, and what must hold at the end. The first violation ends the
 * simulation and names the invariant, the seed and the virtual time.
 */
import type { AssemblySeams } from '#apps/assembly/mod.ts';
import { resources } from '#platform/api/mod.ts';
import type { HttpServer, Net, Spawn } from '#platform/io/mod.ts';
import type { Host, World } from '#platform/sim/mod.ts';
import type { Store } from '#platform/store/mod.ts';
import type { Outbox, Replica } from '#platform/sync/mod.ts';
import type { Fleet } from './fleet.ts';
import { watchSignals } from './invariants/absence-never-deletes.ts';
import { checkAcknowledgedSurvives, watchLostWrites } from './invariants/acknowledged-survives.ts';
import { CopyIsPast } from './invariants/copy-is-past.ts';
import { EventsArrive } from './invariants/events-arrive.ts';
import type { Violate } from './invariants/invariants.ts';
import { checkOneOrder } from './invariants/one-order.ts';
import { watchWriter } from './invariants/one-writer.ts';
import { OutboxDelivers } from './invariants/outbox-delivers.ts';
import { checkEnded, watchCopies } from './invariants/restart-disturbs-nothing.ts';
import { RevokedIsRefused } from './invariants/revoked-is-refused.ts';
import { checkStateIsFold } from './invariants/state-is-fold.ts';
import { EpochsObeyed } from './invariants/epochs-obeyed.ts';
import { lookForOlderLinks } from './invariants/superseded-never-acts.ts';
import { watchAccepted } from './invariants/watched-links.ts';
import { TokenRaces } from './invariants/token-works-once.ts';
import { startWatchObserver, type WatchObserver } from './invariants/whole-watches.ts';
import type { Sabotage } from './sabotages.ts';
import { serverHostName, storedResources, storeLogFolder } from './constants.ts';
import type { Pace } from './pace.ts';
import { Renewals } from './renewals.ts';
import { startTally, type Tally } from './tally.ts';
import { Truth } from './truth.ts';

const lookAtStoreEveryMs = 15_000;
const watchedKinds = [resources.pods, resources.configMaps] as const;

/** What those who look on have seen and compared. */
export interface CheckCounts {
  readonly comparedEvents: number;
  readonly watchRestarts: number;
  readonly increments: number;
  readonly renewals: number;
  /** Of certificates that had ended. */
  readonly lateRenewals: number;
}

export class Checkers {
  readonly truth = new Truth();
  readonly revoked: RevokedIsRefused;
  readonly renewals = new Renewals();
  readonly #pace: Pace;
  readonly #world: World;
  readonly #violate: Violate;
  readonly #sabotage: Partial<Sabotage>;
  readonly #outboxes: OutboxDelivers;
  readonly #copies: CopyIsPast;
  readonly #seen = new WeakSet<Store>();
  /** The server that runs is one that another has replaced. */
  isServerSuperseded = false;
  readonly #epochs: EpochsObeyed;
  readonly #events: EventsArrive;
  #isReplaced = false;
  #watches: readonly WatchObserver[] = [];
  #tally: Tally | undefined;
  #races: TokenRaces | undefined;

  constructor(world: World, sabotage: Partial<Sabotage>, pace: Pace, violate: Violate) {
    this.#world = world;
    this.#pace = pace;
    this.#violate = violate;
    this.#sabotage = sabotage;
    watchLostWrites(world.host(serverHostName), storeLogFolder, this.truth, violate);
    checkOneOrder(this.truth, violate);
    this.#outboxes = new OutboxDelivers(this.truth, violate);
    this.#copies = new CopyIsPast(this.truth, violate);
    this.#epochs = new EpochsObeyed(violate);
    this.#events = new EventsArrive(this.truth, violate);
    this.revoked = new RevokedIsRefused(violate);
  }

  /** Between the parts of a server that is being put together on that host. */
  serverSeams(host: Host): AssemblySeams {
    const { timers } = host.ports;
    return {
      store: (store, part) => {
        // What it shows and writes is no part of the fleet's history.
        if (this.isServerSuperseded) return store;
        this.#opened(store);
        const watched = watchWriter(store, part, this.#violate);
        const handed = this.#sabotage.store?.(watched, part, timers) ?? watched;
        this.#lookAtStore(handed, host);
        return handed;
      },
    };
  }

  serverNet(net: Net): Net {
    const lookers = [lookForOlderLinks(this.#world, this.#violate), this.revoked.lookAtLinks()];
    return watchAccepted(net, lookers);
  }

  serverHttp(server: HttpServer): HttpServer {
    return this.revoked.watchRequests(server);
  }

  /** The server's disk holds a backup: what was seen after it is not so any more. */
  serverReplaced(): void {
    this.#isReplaced = true;
    this.#copies.beginAgain();
  }

  /** With it the node forgets whom it obeyed. */
  copyLost(node: Host): void {
    this.#epochs.forget(node.name);
  }

  /** The machine's disk is made empty: nothing more comes of what was on it. */
  machineEmptied(node: Host): void {
    this.#outboxes.forget(node.name);
    this.#events.forget(node.name);
    this.#copies.forget(node.name);
    this.#epochs.forget(node.name);
  }

  agentSpawn(spawn: Spawn, host: Host): Spawn {
    const watched = watchSignals(spawn, host, this.truth, this.#violate);
    return this.#sabotage.agentSpawn?.(watched) ?? watched;
  }

  agentReplica(replica: Replica, host: Host): Replica {
    this.#copies.watch(replica, host.name);
    this.#epochs.watch(replica, host, () => this.isServerSuperseded);
    return this.#sabotage.replica?.(replica) ?? replica;
  }

  agentOutbox(outbox: Outbox, host: Host): Outbox {
    const watched = this.#outboxes.watch(this.#sabotage.outbox?.(outbox) ?? outbox, host);
    return {
      get pendingCount() {
        return watched.pendingCount;
      },
      put: async (entry) => {
        checkEnded(entry, host, this.#violate);
        const taken = entry.type === 'event' ? this.#events.take(entry, host.name) : undefined;
        const position = await watched.put(entry);
        taken?.();
        return position;
      },
      declareLoss: (known) => watched.declareLoss(known),
      deliver: (session) => watched.deliver(session),
      close: () => watched.close(),
    };
  }

  /** Clients that look on over the API. Once, when the fleet has been founded. */
  async begin(fleet: Fleet): Promise<void> {
    watchCopies(fleet, this.#violate);
    this.#tally = await startTally(fleet, this.#violate);
    this.#watches = watchedKinds.map((kind) =>
      startWatchObserver(fleet, kind, this.truth, this.#violate),
    );
    this.#races = new TokenRaces(fleet, this.truth, this.#violate);
    await this.#races.race();
  }

  async raceForToken(): Promise<void> {
    await this.#races?.race();
  }

  /** What is still on its way: undefined when everything can be held against the end. */
  unsettled(): string | undefined {
    if (this.#watches.some((watch) => !watch.isCurrent())) return 'a watch is behind';
    return this.#outboxes.missing() ?? this.#copies.difference();
  }

  /** Names what did not come to rest by then. */
  requireSettled(): void {
    this.#outboxes.requireAll();
    this.#copies.requireSame();
  }

  async end(fleet: Fleet): Promise<void> {
    // In a long life, and where the server is one of an earlier time, events are gone.
    const areThere = this.#pace.stretch === 1 && this.#tally !== undefined;
    if (areThere) await this.#events.requireAll(fleet);
    await this.#tally?.requireSum();
    this.#tally?.close();
    for (const watch of this.#watches) watch.close();
  }

  counts(): CheckCounts {
    return {
      renewals: this.renewals.count,
      lateRenewals: this.renewals.lateCount,
      comparedEvents: this.#watches.reduce((sum, watch) => sum + watch.compared(), 0),
      watchRestarts: this.#watches.reduce((sum, watch) => sum + watch.restarts(), 0),
      increments: this.#tally?.acknowledged() ?? 0,
    };
  }

  /** While the process lives that shows it. */
  #lookAtStore(store: Store, host: Host): void {
    const { timers } = host.ports;
    let seenRevision = -1;
    const look = (): void => {
      // What was compared at this revision stays what it is.
      if (store.revision === this.truth.revision && store.revision !== seenRevision) {
        seenRevision = store.revision;
        checkStateIsFold(store, storedResources, this.truth, this.#violate);
      }
      timers.after(lookAtStoreEveryMs * this.#pace.stretch, look);
    };
    timers.after(lookAtStoreEveryMs * this.#pace.stretch, look);
  }

  /** A store that was read from its disk: nothing that was seen before may be missing. */
  #opened(store: Store): void {
    if (this.#seen.has(store)) return;
    this.#seen.add(store);
    if (this.#isReplaced) {
      this.#isReplaced = false;
      this.truth.adopt(store, storedResources);
      this.#outboxes.beginAgain();
    }
    if (!checkAcknowledgedSurvives(store, this.truth, this.#violate)) return;
    this.truth.attach(store);
    checkStateIsFold(store, storedResources, this.truth, this.#violate);
  }
}
