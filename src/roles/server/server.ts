/**
 * The API front of the process that owns the log: all rows of the table, over the stores
 * themselves. What becomes of a request is in answering.ts.
 */
import {
  createDefinitionRegistry,
  decodeFacet,
  type DefinitionRegistry,
  type ResourceDefinition,
} from '#platform/api/mod.ts';
import type { AuditLog } from '#platform/audit/mod.ts';
import type { RegistryHandler } from '#platform/blobs/mod.ts';
import {
  type JoinTokens,
  type NodeCertificates,
  type ServiceAccountTokens,
} from '#platform/identity/mod.ts';
import type {
  Address,
  Clock,
  HttpHandler,
  Logger,
  Random,
  RefusedRequest,
  Timers,
} from '#platform/io/mod.ts';
import type { Metrics } from '#platform/metrics/mod.ts';
import type { Store } from '#platform/store/mod.ts';
import { createAdmission } from './admission/admission.ts';
import { builtInAdmitters } from './admission/admitters.ts';
import type { Admitter } from './admission/types.ts';
import { createAnswering } from './answering.ts';
import { keepBuiltInRoles } from './access/bootstrap.ts';
import { followPolicy } from './access/follow-policy.ts';
import { auditRefused, type AuditSink } from './audit.ts';
import { followDeclaredKinds } from './declared-kinds.ts';
import type { NodeLiveness, ServerParts, VersionInfo } from './dependencies.ts';
import { type DivergencePort } from './divergence.ts';
import type { BackupSource } from './handlers/backup.ts';
import { createInitialObjects } from './initial-objects.ts';
import { createListSessions } from './list-sessions.ts';
import type { PodLogSource } from './pod-logs.ts';
import type { PodStreamSource } from './pod-streams.ts';
import { observeRequests } from './request-metrics.ts';
import type { RouteRow } from './route-table.ts';
import { createRoutes } from './routes.ts';
import { createServedObjects } from './served-objects.ts';
import type { UsageSource } from './usage-metrics.ts';
import { createWatchBudget, type WatchLimits } from './watch-budget.ts';

export interface ServerDependencies {
  readonly store: Store;
  /** The bounded ring of Events. */
  readonly eventStore: Store;
  readonly definitions: readonly ResourceDefinition[];
  /** Asked after the built-in ones. */
  readonly admitters?: readonly Admitter[];
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  readonly joinTokens: JoinTokens;
  /** Absent: no certificates are renewed or revoked here. */
  readonly nodeCertificates?: NodeCertificates;
  /** Absent: no tokens of ServiceAccounts are issued or believed here. */
  readonly serviceAccountTokens?: ServiceAccountTokens;
  readonly podLogs: PodLogSource;
  /** Absent: there is no way into containers from here. */
  readonly podStreams?: PodStreamSource;
  /** First two numbers of the addresses of services, e.g. `127.129`; that where absent. */
  readonly serviceNetwork?: string;
  /** Absent: no Leases are served. */
  readonly nodeLiveness?: NodeLiveness;
  /** Absent: nobody knows what is used. */
  readonly usage?: UsageSource;
  /** Of `/v2/`. */
  readonly registryHandler: RegistryHandler;
  /** Where nodes that join open their link to. */
  readonly linkAddress: () => Address;
  /** Where the API is found by others, known once it listens; the issuer's name where absent. */
  readonly apiAddress?: () => Address;
  /** Absent: nobody follows this store who could know another history. */
  readonly divergence?: DivergencePort;
  /** Absent: this server cannot be backed up. */
  readonly backup?: BackupSource;
  readonly version: VersionInfo;
  /** Absent: nothing is counted, and `/metrics` is not served. */
  readonly metrics?: Metrics;
  /** Absent: requests are not recorded. */
  readonly audit?: AuditSink & Pick<AuditLog, 'state'>;
  /** Absent: those of limits.ts. */
  readonly watchLimits?: WatchLimits;
}

/** Names a row of the table; a front has the same ones. */
export type ObservedRow = Pick<RouteRow, 'method' | 'pattern' | 'watch'>;

export interface Server {
  readonly handler: HttpHandler;
  /** What is served, for tests and for people who want to know. */
  readonly rows: readonly RouteRow[];
  /** The kinds that are served; a change of them changes the rows. */
  readonly registry: DefinitionRegistry;
  /** Records a request that a listener has answered 401 for its certificate. */
  refused(request: RefusedRequest): void;
  /** Counts a request that a front has answered, by its row. */
  observe(row: ObservedRow, status: number, durationMs: number): void;
  /** Ends watches and followed logs, so that their clients go on elsewhere. */
  close(): void;
}

const serviceNetworkDefault = '127.129';

/** Resolves once the namespaces that everything counts on are there, and all kinds. */
export async function createServer(dependencies: ServerDependencies): Promise<Server> {
  const { store, eventStore, clock, timers, random, logger, podLogs } = dependencies;
  const closing = new Set<() => void>();
  const followed = followPolicy(store);
  const parts: ServerParts = {
    store,
    policy: followed.policy,
    tokens: dependencies.serviceAccountTokens,
    nodeOfPod: (namespace, name) => nodeOfPod(store, namespace, name),
    eventStore,
    registry: createDefinitionRegistry(dependencies.definitions),
    served: createServedObjects(),
    admission: createAdmission([...builtInAdmitters, ...(dependencies.admitters ?? [])]),
    listSessions: createListSessions(clock, random),
    watchBudget: createWatchBudget(dependencies.watchLimits),
    clock,
    timers,
    random,
    logger,
    podLogs,
    podStreams: dependencies.podStreams,
    nodeLiveness: dependencies.nodeLiveness ?? (() => undefined),
    usage: dependencies.usage ?? { refresh: () => Promise.resolve(), of: () => undefined },
    serviceNetwork: dependencies.serviceNetwork ?? serviceNetworkDefault,
    divergence: dependencies.divergence,
    isAuditFailing: () => dependencies.audit?.state().failure !== undefined,
    onClosing(listener) {
      closing.add(listener);
      return () => closing.delete(listener);
    },
  };
  await createInitialObjects(parts);
  await keepBuiltInRoles(parts);
  followDeclaredKinds(parts);
  const table = createRoutes(parts, dependencies);
  const { metrics, audit } = dependencies;
  const observe = metrics === undefined ? () => undefined : observeRequests(metrics);
  return {
    get rows() {
      return table.rows;
    },
    registry: parts.registry,
    handler: createAnswering(parts, table, { observe, audit }),
    refused(request) {
      observe(undefined, 401, 0);
      if (audit !== undefined) auditRefused(audit, clock, random.uuid(), request);
    },
    observe({ method, pattern, watch }, status, durationMs) {
      const row = table.rows.find(
        (one) => one.pattern === pattern && one.method === method && one.watch === watch,
      );
      observe(row, status, durationMs);
    },
    close() {
      for (const listener of Array.from(closing)) listener();
      closing.clear();
      followed.close();
    },
  };
}

export function nodeOfPod(store: Store, namespace: string, name: string): string | undefined {
  const assignment = store.get({ resource: 'pods', namespace, name })?.facets.assignment;
  if (assignment === undefined) return undefined;
  const nodeName = decodeFacet(assignment)['nodeName'];
  return typeof nodeName === 'string' ? nodeName : undefined;
}
