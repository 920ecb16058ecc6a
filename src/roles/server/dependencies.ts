/** What the API front is given, and what its handlers share. */
import type { DefinitionRegistry, ResourceDefinition } from '#platform/api/mod.ts';
import type { RegistryHandler } from '#platform/blobs/mod.ts';
import type { Clock, Logger, Random, Timers } from '#platform/io/mod.ts';
import type { Store } from '#platform/store/mod.ts';
import type { Admission } from './admission/admission.ts';
import type { AuthenticationSources } from './authentication.ts';
import type { DivergencePort } from './divergence.ts';
import type { ListSessions } from './list-sessions.ts';
import type { PodLogSource } from './pod-logs.ts';
import type { PodStreamSource } from './pod-streams.ts';
import type { ServedObjects } from './served-objects.ts';
import type { UsageSource } from './usage-metrics.ts';
import type { WatchBudget } from './watch-budget.ts';

/** Liveness as the hub knows it, for the synthesized Leases. */
export type NodeLiveness = (
  nodeName: string,
) => { readonly lastHeartbeatWallMs: number } | undefined;

export interface VersionInfo {
  /** Of the program: `0.1.0`. */
  readonly version: string;
  readonly gitCommit: string;
  /** RFC 3339. */
  readonly buildDate: string;
  /** `linux/amd64` */
  readonly platform: string;
}

/** Shared by all handlers of one server. */
export interface ServerParts extends AuthenticationSources {
  readonly store: Store;
  readonly eventStore: Store;
  readonly registry: DefinitionRegistry;
  readonly served: ServedObjects;
  readonly admission: Admission;
  readonly listSessions: ListSessions;
  readonly watchBudget: WatchBudget;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  readonly podLogs: PodLogSource;
  readonly podStreams: PodStreamSource | undefined;
  readonly nodeLiveness: NodeLiveness;
  readonly usage: UsageSource;
  /** First two numbers of the addresses of services. */
  readonly serviceNetwork: string;
  readonly divergence: DivergencePort | undefined;
  readonly isAuditFailing: () => boolean;
  /** Called when the server closes; returns what forgets the listener again. */
  readonly onClosing: (listener: () => void) => () => void;
}

export interface RegistryPort {
  readonly handler: RegistryHandler;
}

/** The store that keeps objects of this kind. */
export function storeOf(parts: ServerParts, definition: ResourceDefinition): Store {
  return definition.storage === 'events' ? parts.eventStore : parts.store;
}
