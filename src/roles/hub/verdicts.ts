/**
 * What the hub concludes about its nodes: Ready while it hears of them.
 *
 * Invariants:
 * 1. Only a change of the conclusion is written; heartbeats never touch the log.
 * 2. A hub that has just started knows nothing: a node that it has not heard of
 *    yet gets the time that nodes take to come back before it counts as lost.
 */
import { errorText, type JsonObject } from '#base/mod.ts';
import { type Clock, type Logger, timestampOf, type Timer, type Timers } from '#platform/io/mod.ts';
import type { Store, StoredObject } from '#platform/store/mod.ts';
import type { EventReports } from './event-reports.ts';
import type { Sessions } from './sessions.ts';
import { nodeKey, putFacet, readFacet } from './stored-facets.ts';

export interface VerdictsDependencies {
  readonly store: Store;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly events: EventReports;
  readonly sessions: () => Sessions;
}

export interface VerdictsOptions {
  readonly nodeLostAfterMs: number;
  /** For nodes that this hub has not heard of since it started. */
  readonly firstHeardWithinMs: number;
}

interface Conclusion {
  readonly ready: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
}

/** While some node is not Ready: it may be heard of again. */
const lookEveryMsMax = 1_000;
/** While all are: what can change is that one is lost, and when is known. */
const lookEveryMsMaxAtRest = 5_000;
const lookEveryMsMin = 10;

export class Verdicts {
  readonly #dependencies: VerdictsDependencies;
  readonly #options: VerdictsOptions;
  readonly #startedMs: number;
  #timer: Timer | undefined;
  #isClosed = false;

  constructor(dependencies: VerdictsDependencies, options: VerdictsOptions) {
    this.#dependencies = dependencies;
    this.#options = options;
    this.#startedMs = dependencies.clock.monotonicMs();
    this.#planIn(lookEveryMsMin);
  }

  /** Looks at one node now, e.g. because it has just been heard of. */
  look(nodeName: string): void {
    const node = this.#dependencies.store.get(nodeKey(nodeName));
    if (node !== undefined && !this.#isClosed) this.#conclude(node);
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  #plan(): void {
    const { store, clock } = this.#dependencies;
    const nowMs = clock.monotonicMs();
    let nextMs = nowMs + lookEveryMsMaxAtRest;
    for (const node of store.list('nodes')) {
      const lostAtMs = this.#lostAtMs(node.key.name);
      if (lostAtMs > nowMs) nextMs = Math.min(nextMs, lostAtMs + 1);
      if (!isReady(node)) nextMs = Math.min(nextMs, nowMs + lookEveryMsMax);
    }
    this.#planIn(Math.max(lookEveryMsMin, nextMs - nowMs));
  }

  #planIn(delayMs: number): void {
    const { timers, store, clock } = this.#dependencies;
    this.#timer = timers.after(delayMs, () => {
      const nowMs = clock.monotonicMs();
      for (const node of store.list('nodes')) {
        // Nearly all, nearly always: they are Ready and stay so.
        if (isReady(node) && nowMs <= this.#lostAtMs(node.key.name)) continue;
        this.#conclude(node);
      }
      this.#plan();
    });
  }

  #conclude(node: StoredObject): void {
    const conclusion = this.#conclusionOf(node);
    if (conclusion === undefined || readFacet(node, 'verdict')?.['ready'] === conclusion.ready) {
      return;
    }
    const { store, clock, events, logger } = this.#dependencies;
    const verdict: JsonObject = { ...conclusion, sinceTime: timestampOf(clock.wallMs()) };
    store
      .transact((view) => {
        const now = view.get(node.key);
        const isSettled =
          now === undefined ||
          now.uid !== node.uid ||
          readFacet(now, 'verdict')?.['ready'] === conclusion.ready;
        return {
          changes: isSettled ? [] : [putFacet(now, 'verdict', verdict)],
          result: !isSettled,
        };
      })
      .then(({ result }) => {
        if (!result) return;
        const isReady = conclusion.ready === 'True';
        const reason = isReady ? 'NodeReady' : 'NodeNotReady';
        events.record('hub', node, isReady ? 'Normal' : 'Warning', reason, conclusion.message);
        logger.log('info', 'a node changed', { node: node.key.name, ready: conclusion.ready });
      })
      .catch((error: unknown) => {
        logger.log('error', 'a verdict could not be written', {
          node: node.key.name,
          error: errorText(error),
        });
      });
  }

  /** When the node counts as lost if it stays silent. */
  #lostAtMs(nodeName: string): number {
    const { nodeLostAfterMs, firstHeardWithinMs } = this.#options;
    const heartbeat = this.#dependencies.sessions().lastHeartbeat(nodeName);
    return heartbeat === undefined
      ? this.#startedMs + Math.max(nodeLostAfterMs, firstHeardWithinMs)
      : heartbeat.monotonicMs + nodeLostAfterMs;
  }

  /** Undefined: it is too early to say anything else than before. */
  #conclusionOf(node: StoredObject): Conclusion | undefined {
    const { clock, sessions } = this.#dependencies;
    const { name } = node.key;
    const heartbeat = sessions().lastHeartbeat(name);
    const nowMs = clock.monotonicMs();
    if (nowMs > this.#lostAtMs(name)) {
      const silentMs = nowMs - (heartbeat?.monotonicMs ?? this.#startedMs);
      const hasJoinedOnly = node.facets.report === undefined;
      return {
        ready: 'Unknown',
        reason: hasJoinedOnly ? 'NeverReported' : 'NodeLost',
        message: hasJoinedOnly
          ? `node ${name} has joined and was not heard of since`
          : `node ${name} was not heard of for ${(silentMs / 1000).toFixed(1)} s`,
      };
    }
    if (heartbeat === undefined || node.facets.report === undefined) return undefined;
    return { ready: 'True', reason: 'AgentReady', message: `the agent of ${name} is connected` };
  }
}

function isReady(node: StoredObject): boolean {
  return readFacet(node, 'verdict')?.['ready'] === 'True';
}
