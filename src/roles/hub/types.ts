/** What a hub is given and what it offers to the process around it. */
import type { NodeUsage, ResourceDefinition } from '#platform/api/mod.ts';
import type { BlobStore, ImageCatalog } from '#platform/blobs/mod.ts';
import type { Client } from '#platform/client/mod.ts';
import type { Clock, Connection, Logger, Random, Timers } from '#platform/io/mod.ts';
import type { Store } from '#platform/store/mod.ts';
import type { LinkStream } from '#platform/wire/mod.ts';
import type { NodeCopy } from './copies.ts';

/** What a token for a pod is to say. */
export interface PodTokenOrder {
  readonly namespace: string;
  readonly accountName: string;
  readonly accountUid: string;
  readonly podName: string;
  readonly podUid: string;
  readonly nodeName: string;
  /** Empty: the API itself. */
  readonly audience: string;
  readonly lifeSeconds: number;
}

export interface PodTokenSource {
  issue(order: PodTokenOrder): Promise<{
    readonly token: string;
    readonly expiresAtMs: number;
    /** Where the API listens, on the host that the link leads to. */
    readonly apiPort: number;
  }>;
}

export interface HubDependencies {
  /** The main store, opened with `hubIndexes`. */
  readonly store: Store;
  /** For Events only: everything else is a transaction of the store. */
  readonly client: Client;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  readonly blobs: BlobStore;
  readonly images: ImageCatalog;
  readonly definitions: readonly ResourceDefinition[];
  /** Absent: pods get no tokens. */
  readonly podTokens?: PodTokenSource;
  /** What came before the store's present incarnation, and who hears of nodes that know another history. */
  readonly history?: {
    readonly formerIncarnations: () => readonly string[];
    readonly onDiverged: (nodeName: string, reason: string, nodesEpoch: number) => void;
  };
}

export interface HubOptions {
  /** What the agents were told; 2000 where absent. */
  readonly heartbeatIntervalMs?: number;
  /** Silence after which a node counts as lost; three heartbeats where absent. */
  readonly nodeLostAfterMs?: number;
  /** Said in the handshake, for people. */
  readonly product?: string;
}

export interface LogRequest {
  readonly podUid: string;
  readonly container: string;
  readonly follow: boolean;
  readonly tailLines?: number;
  /** Of the last run that has ended, not of the one that goes on. */
  readonly previous?: boolean;
  /** Only what was written in so long; what was written shortly before may be there too. */
  readonly sinceAgeMs?: number;
  /** When it was written, before each line. */
  readonly timestamps?: boolean;
}

export interface LogListener {
  onBytes(bytes: Uint8Array): void;
  onEnd(failure: { readonly code: string; readonly message: string } | undefined): void;
}

export interface LogStream {
  close(): void;
  pause(): void;
  resume(): void;
}

/** As `LinkStream`, without its lane. */
export type PodStream = Omit<LinkStream, 'lane'>;

export interface PodStreams {
  /** A node that is not connected fails the stream, after this has returned. */
  open(
    nodeName: string,
    method: 'pod.exec' | 'pod.forward',
    parameters: Readonly<Record<string, unknown>>,
  ): PodStream;
}

export interface HubUsage {
  /** Asks those nodes where what is known of them is not fresh; who does not answer is passed over. */
  refresh(nodeNames: readonly string[]): Promise<void>;
  /** Undefined for a node that did not answer a moment ago. */
  of(nodeName: string): NodeUsage | undefined;
}

export interface Hub {
  /** How many nodes hold a link now. */
  connectedNodes(): number;
  /** Takes over a connection of a node that has shown its certificate. */
  accept(connection: Connection): void;
  /** What nodes hold of a history that this server may not have. */
  readonly copies: {
    /** Also of a machine that the store does not know, and that has proved what it followed. */
    isConnected(nodeName: string): boolean;
    /** Rejects with an error whose text says why there is none. */
    fetch(nodeName: string): Promise<NodeCopy>;
    /** Of those whom nobody has taken in. */
    sendStrangersAway(): void;
  };
  /** Logs of a container, from the agent of its node. */
  readonly podLogs: {
    /** Calls the listener only after it has returned. */
    open(nodeName: string, request: LogRequest, listener: LogListener): LogStream;
  };
  /** Commands in containers and connections to their ports. */
  readonly podStreams: PodStreams;
  readonly usage: HubUsage;
  /** When the node was last heard of in this process; undefined for never. */
  liveness(nodeName: string): { readonly lastHeartbeatWallMs: number } | undefined;
  /** Ends sessions and work; what is under way in the store comes back first. */
  close(): Promise<void>;
}
