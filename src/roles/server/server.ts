/**
 * The API front: takes a request through the route table, the authorization door
 * and its handler, and turns whatever is thrown into a `Status`.
 *
 * Invariants:
 * 1. No handler runs before `authorize` has let the request pass.
 * 2. Every refusal is a Status object with a reason; no detail of a failure that
 *    is the server's own leaves it.
 */
import { hexOf } from '#base/mod.ts';
import {
  createDefinitionRegistry,
  decodeFacet,
  type DefinitionRegistry,
  type ResourceDefinition,
  StatusError,
} from '#platform/api/mod.ts';
import type { RegistryHandler } from '#platform/blobs/mod.ts';
import {
  anonymousUser,
  type JoinTokens,
  type NodeCertificates,
  type ServiceAccountTokens,
  userOf,
  type User,
} from '#platform/identity/mod.ts';
import type {
  Address,
  Clock,
  HttpHandler,
  HttpRequest,
  HttpResponse,
  Logger,
  Random,
  Timers,
} from '#platform/io/mod.ts';
import type { Metrics } from '#platform/metrics/mod.ts';
import type { Store } from '#platform/store/mod.ts';
import { createAdmission } from './admission/admission.ts';
import { builtInAdmitters } from './admission/admitters.ts';
import type { Admitter } from './admission/types.ts';
import { statusAnswer, statusErrorOf } from './answers.ts';
import { keepBuiltInRoles } from './access/bootstrap.ts';
import { followPolicy } from './access/follow-policy.ts';
import { auditAnswer, type AuditSink } from './audit.ts';
import { authenticate, impersonated, isImpersonation } from './authentication.ts';
import { type AccessRequest, type AuthorizationSources, authorize } from './authorization.ts';
import { followDeclaredKinds } from './declared-kinds.ts';
import type { NodeLiveness, ServerParts, VersionInfo } from './dependencies.ts';
import { type DivergencePort, refuseWhileDiverged } from './divergence.ts';
import type { BackupSource } from './handlers/backup.ts';
import { createInitialObjects } from './initial-objects.ts';
import { requestUrlLengthMax } from './limits.ts';
import { createListSessions } from './list-sessions.ts';
import { acceptanceOf } from './negotiation.ts';
import type { PodLogSource } from './pod-logs.ts';
import type { PodStreamSource } from './pod-streams.ts';
import { flagOf } from './query.ts';
import { observeRequests } from './request-metrics.ts';
import { newRequestNote, type RequestNote } from './request-note.ts';
import type { RouteRow, RouteTable } from './route-table.ts';
import { createRoutes } from './routes.ts';
import { fieldSelectorOf } from './selection.ts';
import { createServedObjects } from './served-objects.ts';
import type { UsageSource } from './usage-metrics.ts';

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
  readonly audit?: AuditSink;
}

export interface Server {
  readonly handler: HttpHandler;
  /** What is served, for tests and for people who want to know. */
  readonly rows: readonly RouteRow[];
  /** The kinds that are served; a change of them changes the rows. */
  readonly registry: DefinitionRegistry;
  /** Ends watches and followed logs, so that their clients go on elsewhere. */
  close(): void;
}

const requestIdBytes = 4;
/** An answer that began later than this is told in the log. */
const slowRequestMs = 2_000;
const loggedPathLengthMax = 512;

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
  /** Tells one run's requests from another's. */
  const requestIdPrefix = hexOf(random.bytes(requestIdBytes));
  let requests = 0;
  return {
    get rows() {
      return table.rows;
    },
    registry: parts.registry,
    async handler(request) {
      const startedAtMs = clock.monotonicMs();
      requests += 1;
      const requestId = `${requestIdPrefix}-${requests}`;
      const receivedWallMs = audit === undefined ? 0 : clock.wallMs();
      const note = newRequestNote();
      let response: HttpResponse;
      try {
        response = await answer(parts, table, request, note);
      } catch (error) {
        const refusal = statusAnswer(statusErrorOf(error, logger.with({ requestId })));
        const isHead = request.method === 'HEAD';
        response = isHead ? { ...refusal, body: new Uint8Array(0) } : refusal;
      }
      const durationMs = clock.monotonicMs() - startedAtMs;
      observe(note.row, response.status, durationMs);
      if (response.status >= 500 || durationMs >= slowRequestMs) {
        // Without the query: a selector may hold what somebody would rather not see in a log.
        logger.log('warn', 'a request was slow or not carried out', {
          requestId,
          user: note.user?.name ?? '',
          method: request.method,
          path: request.path.slice(0, loggedPathLengthMax),
          status: response.status,
          durationMs: Math.round(durationMs),
        });
      }
      if (audit !== undefined) {
        const answered = { requestId, request, note, response, receivedWallMs };
        response = auditAnswer(audit, clock, answered);
      }
      return { ...response, headers: { ...response.headers, 'audit-id': requestId } };
    },
    close() {
      for (const listener of Array.from(closing)) listener();
      closing.clear();
      followed.close();
    },
  };
}

/** Of most writes; nobody adds to a query. */
const emptyQuery = new URLSearchParams();

async function answer(
  parts: ServerParts,
  table: RouteTable,
  request: HttpRequest,
  note: RequestNote,
): Promise<HttpResponse> {
  if (request.path.length + request.query.length > requestUrlLengthMax) {
    throw new StatusError(
      'BadRequest',
      `the address of the request is longer than the limit of ${requestUrlLengthMax} characters`,
    );
  }
  const query = request.query === '' ? emptyQuery : new URLSearchParams(request.query);
  const found = findRow(table, request, flagOf(query, 'watch'));
  // Who is nobody learns nothing about what is served.
  if (found === undefined || 'allowed' in found) {
    note.user = authenticate(parts, request);
    if (note.user === undefined) throw new StatusError('Unauthorized', 'Unauthorized');
    if (found === undefined) {
      throw new StatusError('NotFound', 'the server could not find the requested resource');
    }
    throw new StatusError(
      'MethodNotAllowed',
      `${request.method.slice(0, 16)} is not supported here; supported are ${found.allowed.join(', ')}`,
    );
  }
  const { row, parameters } = found;
  note.row = row;
  note.parameters = parameters;
  const { subject } = row;
  const user = actingUser(parts, request, row, note);
  passDoor(parts, note, {
    user,
    subject,
    path: request.path,
    namespace: parameters['namespace'] ?? '',
    name: parameters['name'] ?? '',
    fieldSelector: () =>
      subject.type === 'resource' && subject.definition !== undefined
        ? fieldSelectorOf(query, subject.definition)
        : [],
  });
  refuseWhileDiverged(parts.divergence, row, user);
  // The registry has media types of its own.
  const isRegistry = subject.type === 'path' && subject.area === 'registry';
  const acceptance = isRegistry
    ? ({ form: 'object' } as const)
    : acceptanceFor(row, request.headers['accept']);
  return row.handler({ request, row, parameters, query, user, acceptance, note });
}

/** As whom the request is carried out, with a note of who asked. */
function actingUser(
  parts: ServerParts,
  request: HttpRequest,
  { subject }: RouteRow,
  note: RequestNote,
): User | undefined {
  // What comes with a request to join is not a token of the API.
  if (subject.type === 'path' && subject.area === 'join') {
    return (note.user = request.peer === undefined ? undefined : userOf(request.peer));
  }
  const asker = noting(note, () => authenticate(parts, request));
  note.user = asker;
  if (!isImpersonation(request)) return asker;
  note.impersonated = noting(note, () => impersonated(parts, asker ?? anonymousUser, request));
  return note.impersonated;
}

/** The door, and a note of what it said. */
function passDoor(sources: AuthorizationSources, note: RequestNote, access: AccessRequest): void {
  const reason = noting(note, () => authorize(sources, access));
  note.decision = { isAllowed: true, reason };
}

/** The same, with a note where it is refused. */
function noting<Result>(note: RequestNote, decide: () => Result): Result {
  try {
    return decide();
  } catch (error) {
    if (error instanceof StatusError && (error.httpStatus === 401 || error.httpStatus === 403)) {
      note.decision = { isAllowed: false, reason: error.message };
    }
    throw error;
  }
}

function findRow(
  table: RouteTable,
  request: HttpRequest,
  isWatch: boolean,
): ReturnType<RouteTable['find']> {
  try {
    return table.find(request.method, request.path, isWatch);
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
    throw new StatusError('BadRequest', 'the path is not percent-encoded UTF-8', { cause: error });
  }
}

/** Logs and health are text: whatever is accepted, they are what they are. */
function acceptanceFor(row: RouteRow, header: string | undefined): ReturnType<typeof acceptanceOf> {
  const { subject } = row;
  const isText =
    subject.type === 'path'
      ? subject.area === 'health' || subject.area === 'metrics'
      : ['log', 'exec', 'attach', 'portforward'].includes(subject.subresource ?? '');
  return isText ? { form: 'object' } : acceptanceOf(header);
}

function nodeOfPod(store: Store, namespace: string, name: string): string | undefined {
  const assignment = store.get({ resource: 'pods', namespace, name })?.facets.assignment;
  if (assignment === undefined) return undefined;
  const nodeName = decodeFacet(assignment)['nodeName'];
  return typeof nodeName === 'string' ? nodeName : undefined;
}
