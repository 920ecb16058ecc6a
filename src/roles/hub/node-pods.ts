/**
 * Carries out what the loss, the return and the taints of nodes mean for their
 * pods: see plan-node-pods.ts for the rules.
 *
 * Invariants:
 * 1. Only nodes that something has happened to are looked at, or whose time has come.
 * 2. What is written follows from the view of the transaction that writes it.
 * 3. Times count in this process: after a restart of the hub they begin anew, so
 *    a pod is given up later than asked for and never sooner.
 */
import { errorText } from '#base/mod.ts';
import type { Clock, Logger, Random, Timer, Timers } from '#platform/io/mod.ts';
import type { CommittedBatch, Store, StoredObject, StoreView } from '#platform/store/mod.ts';
import type { EventReports } from './event-reports.ts';
import { executingTaints, type NodeOutlook, planNodePods, taintId } from './plan-node-pods.ts';
import { nodeKey, nodeNameOf, podsByNode, readFacet } from './stored-facets.ts';

export interface NodePodsDependencies {
  readonly store: Store;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  readonly events: EventReports;
  /** Monotonic; undefined where the node was never heard of in this process. */
  readonly lastHeardMs: (nodeName: string) => number | undefined;
}

export interface NodePodsOptions {
  /** A node that was heard of within this time is there without doubt. */
  readonly freshWithinMs: number;
  /** How long nodes may take to come back to a hub that was out of reach. */
  readonly reconnectWithinMs: number;
}

const retryAfterMs = 1_000;

export class NodePods {
  readonly #dependencies: NodePodsDependencies;
  readonly #options: NodePodsOptions;
  readonly #startedMs: number;
  /** Nodes whose taints end pods, and since when each of these taints is known. */
  readonly #taintSince = new Map<string, Map<string, number>>();
  readonly #dueMs = new Map<string, number>();
  readonly #dirty = new Set<string>();
  /** When the hub last heard of nobody. */
  #lastAloneMs = -Infinity;
  #timer: Timer | undefined;
  #timerAtMs = Infinity;
  #pass: Promise<void> | undefined;
  #isClosed = false;

  constructor(dependencies: NodePodsDependencies, options: NodePodsOptions) {
    this.#dependencies = dependencies;
    this.#options = options;
    this.#startedMs = dependencies.clock.monotonicMs();
  }

  /** For a hub that starts: what happened before it did. */
  lookAtAll(): void {
    for (const { key } of this.#dependencies.store.list('nodes')) this.#dirty.add(key.name);
    this.#plan(0);
  }

  look(batch: CommittedBatch): void {
    for (const { type, object } of batch.events) {
      if (object.key.resource === 'nodes') this.#note(object.key.name, type === 'delete');
      if (object.key.resource !== 'pods' || type === 'delete') continue;
      const nodeName = nodeNameOf(object);
      if (nodeName === undefined) continue;
      const isLost = readFacet(object, 'verdict')?.['lost'] !== undefined;
      if (isLost || this.#taintSince.has(nodeName)) this.#note(nodeName, false);
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    await this.#pass;
  }

  #note(nodeName: string, isGone: boolean): void {
    if (isGone) {
      this.#taintSince.delete(nodeName);
      this.#dueMs.delete(nodeName);
      this.#dirty.delete(nodeName);
      return;
    }
    this.#dirty.add(nodeName);
    this.#plan(0);
  }

  #plan(delayMs: number): void {
    const atMs = this.#dependencies.clock.monotonicMs() + delayMs;
    if (this.#isClosed || this.#pass !== undefined || atMs >= this.#timerAtMs) return;
    this.#timer?.cancel();
    this.#timerAtMs = atMs;
    this.#timer = this.#dependencies.timers.after(delayMs, () => {
      this.#timerAtMs = Infinity;
      this.#pass = this.#run().finally(() => {
        this.#pass = undefined;
        this.#planNext();
      });
    });
  }

  #planNext(): void {
    if (this.#dirty.size > 0) return this.#plan(0);
    let next = Infinity;
    for (const atMs of this.#dueMs.values()) next = Math.min(next, atMs);
    const nowMs = this.#dependencies.clock.monotonicMs();
    if (next !== Infinity) this.#plan(Math.max(1, next - nowMs));
    return undefined;
  }

  async #run(): Promise<void> {
    const { clock, logger } = this.#dependencies;
    const nowMs = clock.monotonicMs();
    for (const [nodeName, atMs] of this.#dueMs) if (atMs <= nowMs) this.#dirty.add(nodeName);
    for (const nodeName of Array.from(this.#dirty)) {
      if (this.#isClosed) return;
      this.#dirty.delete(nodeName);
      this.#dueMs.delete(nodeName);
      try {
        await this.#attend(nodeName);
      } catch (error) {
        logger.log('error', 'the pods of a node could not be judged; it is tried again', {
          node: nodeName,
          error: errorText(error),
        });
        this.#dueMs.set(nodeName, nowMs + retryAfterMs);
      }
    }
  }

  async #attend(nodeName: string): Promise<void> {
    const { store, events } = this.#dependencies;
    const node = store.get(nodeKey(nodeName));
    if (node === undefined) return;
    this.#noteTaints(node);
    const outlook = this.#outlookFor(nodeName);
    const { changes, nextMs } = planIn(store, nodeName, outlook);
    if (outlook.isHeld) this.#dueMs.set(nodeName, outlook.nowMs + this.#options.freshWithinMs);
    else if (nextMs !== undefined) this.#dueMs.set(nodeName, nextMs);
    if (changes.length === 0) return;
    const { result } = await store.transact((view) => {
      const plan = planIn(view, nodeName, outlook);
      return { changes: plan.changes, result: plan.events };
    });
    for (const { pod, severity, reason, message } of result) {
      events.record('node-controller', pod, severity, reason, message);
    }
  }

  /** New taints count from now; those that are gone are forgotten. */
  #noteTaints(node: StoredObject): void {
    const { name } = node.key;
    const taints = executingTaints(node);
    if (taints.length === 0) {
      this.#taintSince.delete(name);
      return;
    }
    const before = this.#taintSince.get(name);
    const nowMs = this.#dependencies.clock.monotonicMs();
    const known = taints.map((taint) => {
      const id = taintId(taint);
      return [id, before?.get(id) ?? nowMs] as const;
    });
    this.#taintSince.set(name, new Map(known));
  }

  #outlookFor(nodeName: string): NodeOutlook {
    const { clock, random, lastHeardMs } = this.#dependencies;
    return {
      nowMs: clock.monotonicMs(),
      wallMs: clock.wallMs(),
      taintSinceMs: this.#taintSince.get(nodeName) ?? new Map<string, number>(),
      lastContactMs: lastHeardMs(nodeName) ?? this.#startedMs,
      isHeld: this.#taintSince.has(nodeName) && this.#isAlone(nodeName),
      lossId: random.uuid(),
    };
  }

  /**
   * Where nobody else is heard of, it is more likely this hub that is cut off, and
   * there is nowhere to go in any case. When they come back, not all come at once.
   */
  #isAlone(nodeName: string): boolean {
    const { store, clock, lastHeardMs } = this.#dependencies;
    const { freshWithinMs, reconnectWithinMs } = this.#options;
    const nowMs = clock.monotonicMs();
    const isAnyoneThere = store.list('nodes').some(({ key: { name } }) => {
      const heardMs = name === nodeName ? undefined : lastHeardMs(name);
      return heardMs !== undefined && heardMs >= nowMs - freshWithinMs;
    });
    if (!isAnyoneThere) this.#lastAloneMs = nowMs;
    return nowMs < this.#lastAloneMs + reconnectWithinMs;
  }
}

function planIn(
  view: Pick<StoreView, 'get' | 'lookup'>,
  nodeName: string,
  outlook: NodeOutlook,
): ReturnType<typeof planNodePods> {
  const node = view.get(nodeKey(nodeName));
  if (node === undefined) return { changes: [], events: [], nextMs: undefined };
  return planNodePods(node, view.lookup(podsByNode, nodeName), outlook);
}
