/**
 * The links of the nodes: who is connected, when each was last heard of, and the
 * streams that agents open.
 *
 * Invariants:
 * 1. A session belongs to the node that its certificate names and serves nothing
 *    of any other node.
 * 2. A node has one session; a newer one ends the older.
 * 3. Heartbeats are kept in memory only.
 */
import { assert, errorText, isSabotaged, type JsonObject } from '#base/mod.ts';
import { type BlobStore, isDigest } from '#platform/blobs/mod.ts';
import type { Clock, Connection, Logger, Timers } from '#platform/io/mod.ts';
import type { Store } from '#platform/store/mod.ts';
import { createSliceServer, serveOutbox, type SliceServer } from '#platform/sync/mod.ts';
import {
  createLivenessWatch,
  type LinkSession,
  type LinkStream,
  type LivenessWatch,
  livenessTimeoutMsFor,
  openLink,
} from '#platform/wire/mod.ts';
import { epochOf } from './epoch.ts';
import { nodeSliceRules } from './node-slice.ts';
import type { Reports } from './reports.ts';
import { PodTokens } from './pod-tokens.ts';
import { ServiceRelay } from './service-relay.ts';
import { nodeKey } from './stored-facets.ts';
import { Strangers } from './strangers.ts';
import type { HubDependencies } from './types.ts';

const nodeSubjectPrefix = 'system:node:';
const heartbeatBytes = 4;
/** Looks at the links of all nodes, in the time in which a silent one must have been heard of. */
const looksPerLivenessTimeout = 3;

export interface SessionsDependencies {
  readonly store: Store;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly blobs: BlobStore;
  readonly reports: Reports;
  readonly product: string;
  readonly heartbeatIntervalMs: number;
  readonly history?: HubDependencies['history'];
  readonly podTokens?: HubDependencies['podTokens'];
  /** Called when a node was heard of for the first time on a session. */
  readonly onAlive: (nodeName: string) => void;
}

/** When a node was heard of last. It changes with every heartbeat. */
interface Heard {
  monotonicMs: number;
  wallMs: number;
}

export class Sessions {
  readonly #dependencies: SessionsDependencies;
  readonly #sessions = new Map<string, LinkSession>();
  /** Connections so far, and which one was the newest with which a node was heard. */
  #accepted = 0;
  readonly #newest = new Map<string, number>();
  readonly #heartbeats = new Map<string, Heard>();
  readonly #slices: SliceServer;
  readonly #serviceRelay: ServiceRelay;
  readonly #podTokens: PodTokens;
  /** None where nobody settles histories. */
  readonly strangers: Strangers | undefined;
  readonly #livenessTimeoutMs: number;
  readonly #liveness: LivenessWatch;
  #isClosed = false;

  constructor(dependencies: SessionsDependencies) {
    this.#dependencies = dependencies;
    const { store, timers, history, heartbeatIntervalMs } = dependencies;
    this.#livenessTimeoutMs = livenessTimeoutMsFor(heartbeatIntervalMs);
    const stepMs = this.#livenessTimeoutMs / looksPerLivenessTimeout;
    this.#liveness = createLivenessWatch(timers, stepMs);
    this.#podTokens = new PodTokens(store, dependencies.logger, dependencies.podTokens);
    this.#serviceRelay = new ServiceRelay(dependencies.store, (name) => this.session(name));
    this.#slices = createSliceServer({
      store,
      timers,
      rules: nodeSliceRules(store),
      epoch: () => epochOf(store),
      ...(history === undefined ? {} : history),
    });
    this.strangers =
      history === undefined
        ? undefined
        : new Strangers({
            ...dependencies,
            ...history,
            slices: this.#slices,
            onKnown: (nodeName, session) => {
              this.#accepted += 1;
              this.#opened(nodeName, session, this.#accepted);
            },
            serve: (nodeName, method, parameters, stream) => {
              if (store.get(nodeKey(nodeName)) !== undefined) {
                this.#serve(nodeName, method, parameters, stream);
              } else stream.fail({ code: 'NODE_UNKNOWN', message: `node ${nodeName} is unknown` });
            },
          });
  }

  /** Nodes that hold a link now. */
  get count(): number {
    return this.#sessions.size;
  }

  session(nodeName: string): LinkSession | undefined {
    return this.#sessions.get(nodeName);
  }

  lastHeartbeat(nodeName: string): Readonly<Heard> | undefined {
    return this.#heartbeats.get(nodeName);
  }

  /** Ends the session of a node that is no more. */
  forget(nodeName: string): void {
    this.#heartbeats.delete(nodeName);
    this.#newest.delete(nodeName);
    this.#sessions
      .get(nodeName)
      ?.close({ code: 'NODE_DELETED', message: `node ${nodeName} is no longer part of the fleet` });
  }

  close(): void {
    this.#isClosed = true;
    this.#slices.close();
    this.strangers?.close();
    for (const session of Array.from(this.#sessions.values())) {
      session.close({ code: 'HUB_STOPPING', message: 'the hub is stopping; come back' });
    }
  }

  accept(connection: Connection): void {
    const { clock, timers, logger, product, store } = this.#dependencies;
    const { peer } = connection;
    const nodeName = peer?.commonName.startsWith(nodeSubjectPrefix)
      ? peer.commonName.slice(nodeSubjectPrefix.length)
      : undefined;
    const isKnown = nodeName !== undefined && store.get(nodeKey(nodeName)) !== undefined;
    if (!this.#isClosed && nodeName !== undefined && !isKnown && this.strangers !== undefined) {
      this.strangers.accept(nodeName, connection);
      return;
    }
    if (this.#isClosed || !isKnown) {
      logger.log('warn', 'a connection was refused: its certificate names no node of this fleet', {
        peer: peer?.commonName,
        address: connection.remoteAddress,
      });
      connection.destroy();
      return;
    }
    this.#accepted += 1;
    const number = this.#accepted;
    openLink(
      { connection, clock, timers, logger, liveness: this.#liveness },
      {
        role: 'parent',
        product,
        limits: { livenessTimeoutMs: this.#livenessTimeoutMs },
        onOpen: (session) => {
          if (this.#isLate(nodeName, number)) connection.destroy();
          else this.#opened(nodeName, session, number);
        },
        onStream: (method, parameters, stream) => {
          this.#serve(nodeName, method, parameters, stream);
        },
      },
    ).catch((error: unknown) => {
      logger.log('warn', 'a link did not come about', { node: nodeName, error: errorText(error) });
    });
  }

  /** The order of connections counts, not that of greetings: one may have been held up. */
  #isLate(nodeName: string, number: number): boolean {
    return !isSabotaged('forget-a-fence') && number < (this.#newest.get(nodeName) ?? 0);
  }

  #opened(nodeName: string, session: LinkSession, number: number): void {
    const { logger, store } = this.#dependencies;
    // The handshake took its time: the node may have been deleted meanwhile.
    if (this.#isClosed || store.get(nodeKey(nodeName)) === undefined) {
      session.close({ code: 'NODE_DELETED', message: `node ${nodeName} is not of this fleet` });
      return;
    }
    const older = isSabotaged('forget-a-fence') ? undefined : this.#sessions.get(nodeName);
    older?.close({
      code: 'LINK_REPLACED',
      message: `node ${nodeName} has opened a newer link`,
    });
    this.#sessions.set(nodeName, session);
    this.#newest.set(nodeName, number);
    session.onBeat(this.#heard(nodeName));
    logger.log('info', 'node connected', { node: nodeName, agent: session.remote.product });
    session.onClose((failure) => {
      if (this.#sessions.get(nodeName) === session) this.#sessions.delete(nodeName);
      logger.log('info', 'node disconnected', { node: nodeName, reason: failure?.message });
    });
  }

  /** To be called for every heartbeat on one session of the node. */
  #heard(nodeName: string): () => void {
    const { clock, onAlive } = this.#dependencies;
    let heard: Heard | undefined;
    return () => {
      const isFirst = heard === undefined;
      // One place for the node, which stays the same over its sessions.
      heard ??= this.#heartbeats.get(nodeName) ?? { monotonicMs: 0, wallMs: 0 };
      heard.monotonicMs = clock.monotonicMs();
      heard.wallMs = clock.wallMs();
      if (!isFirst) return;
      this.#heartbeats.set(nodeName, heard);
      onAlive(nodeName);
    };
  }

  /** Heartbeats of an agent of link version 1: a counter of four bytes, to be sent back. */
  #serveHeartbeats(nodeName: string, stream: LinkStream): void {
    const heard = this.#heard(nodeName);
    stream.onClose(() => {});
    stream.onMessage((message) => {
      if (message.length !== heartbeatBytes) {
        stream.fail({ code: 'HEARTBEAT_MALFORMED', message: 'a heartbeat has four bytes' });
        return;
      }
      heard();
      void stream.send(message);
    });
  }

  #serve(
    nodeName: string,
    method: string,
    parameters: Readonly<Record<string, unknown>>,
    stream: LinkStream,
  ): void {
    const { reports, logger } = this.#dependencies;
    switch (method) {
      case 'node.heartbeat':
        this.#serveHeartbeats(nodeName, stream);
        return;
      case 'slice.follow':
        this.#slices.serve(stream, parameters, nodeName);
        return;
      case 'outbox.deliver':
        serveOutbox(stream, parameters, {
          lastApplied: (incarnation) => reports.lastApplied(nodeName, incarnation),
          apply: (incarnation, entries, lastSequence) =>
            reports.apply(nodeName, incarnation, entries, lastSequence),
          onRefused: (sequence, reason) => {
            logger.log('warn', 'a malformed entry of an outbox was passed over', {
              node: nodeName,
              sequence,
              reason,
            });
          },
        });
        return;
      case 'blob.fetch':
        this.#serveBlob(parameters, stream);
        return;
      case 'pod.token':
        this.#podTokens.serve(nodeName, parameters, stream);
        return;
      case 'service.dial':
        this.#serviceRelay.serve(nodeName, parameters, stream);
        return;
      default:
        stream.fail({ code: 'METHOD_UNKNOWN', message: `this hub has no stream ${method}` });
    }
  }

  #serveBlob(parameters: Readonly<Record<string, unknown>>, stream: LinkStream): void {
    const { blobs } = this.#dependencies;
    const { digest, offset = 0 } = parameters as JsonObject;
    let isOpen = true;
    stream.onMessage(() => undefined);
    stream.onClose(() => {
      isOpen = false;
    });
    const isOffset = typeof offset === 'number' && Number.isSafeInteger(offset) && offset >= 0;
    if (typeof digest !== 'string' || !isDigest(digest) || !isOffset) {
      stream.fail({ code: 'BLOB_MALFORMED', message: 'blob.fetch takes a digest and an offset' });
      return;
    }
    const send = async (): Promise<void> => {
      assert(typeof offset === 'number', 'the offset was checked');
      for await (const chunk of blobs.read(digest, offset)) {
        if (!isOpen) return;
        await stream.send(chunk);
      }
      stream.end();
    };
    send().catch((error: unknown) => {
      if (!isOpen) return;
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'BLOB_FAILED';
      stream.fail({ code, message: errorText(error) });
    });
  }
}
