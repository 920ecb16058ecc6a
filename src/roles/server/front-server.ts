/**
 * The API front of a process that holds copies of the stores: reads and watches of
 * stored objects are answered here, everything else is handed on to the owner of the log.
 *
 * Invariants:
 * 1. A read shows every write that was acknowledged before it began, whichever process
 *    acknowledged it: it waits until the copies have reached what the owner has.
 * 2. The door is passed here as it would be there, over the same policy at that revision
 *    or a later one; what is handed on passes the owner's.
 * 3. What cannot be answered from a copy alone (a watch from before it, a list in pieces,
 *    anything of a kind that people declared) is the owner's to answer.
 */
import { AssertionFailure } from '#base/mod.ts';
import {
  createDefinitionRegistry,
  type ResourceDefinition,
  resourceName,
} from '#platform/api/mod.ts';
import type { Clock, HttpHandler, HttpRequest, Logger, Random, Timers } from '#platform/io/mod.ts';
import type { StoreCopy } from '#platform/store/mod.ts';
import { createAdmission } from './admission/admission.ts';
import { followPolicy } from './access/follow-policy.ts';
import { createAnswering } from './answering.ts';
import type { AuditSink } from './audit.ts';
import { isImpersonation } from './authentication.ts';
import { type ServerParts, storeOf } from './dependencies.ts';
import { createListSessions } from './list-sessions.ts';
import type { RequestObserver } from './request-metrics.ts';
import { createRouteTable, type RouteMatch } from './route-table.ts';
import { readRows } from './routes.ts';
import { createServedObjects } from './served-objects.ts';
import { nodeOfPod } from './server.ts';
import { createWatchBudget } from './watch-budget.ts';

export interface FrontServerDependencies {
  /** With their first state. */
  readonly store: StoreCopy;
  readonly eventStore: StoreCopy;
  readonly definitions: readonly ResourceDefinition[];
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  /** Resolves once the copies hold all that the owner had acknowledged when this was called. */
  readonly caughtUp: () => Promise<void>;
  readonly isRevoked: (serialNumber: string) => boolean;
  /** The owner's handler. */
  readonly owner: HttpHandler;
  readonly observe: RequestObserver;
  /** Absent: requests are not recorded. */
  readonly audit: AuditSink | undefined;
}

export interface FrontServer {
  readonly handler: HttpHandler;
  close(): void;
}

export function createFrontServer(dependencies: FrontServerDependencies): FrontServer {
  const { store, eventStore, clock, random, owner, caughtUp, observe, audit } = dependencies;
  const { isRevoked } = dependencies;
  const { timers, logger } = dependencies;
  const closing = new Set<() => void>();
  const followed = followPolicy(store);
  const parts: ServerParts = {
    ...{ store, eventStore, clock, timers, random, logger },
    policy: followed.policy,
    // Who brings a token is the owner's to know.
    tokens: undefined,
    nodeOfPod: (namespace, name) => nodeOfPod(store, namespace, name),
    registry: createDefinitionRegistry(dependencies.definitions),
    served: createServedObjects(),
    listSessions: createListSessions(clock, random),
    watchBudget: createWatchBudget(),
    onClosing(listener) {
      closing.add(listener);
      return () => closing.delete(listener);
    },
    // None of the rows that are answered here has to do with these.
    admission: createAdmission([]),
    podLogs: {
      open() {
        throw new AssertionFailure('logs are read by the owner');
      },
    },
    podStreams: undefined,
    nodeLiveness: () => undefined,
    usage: { refresh: () => Promise.resolve(), of: () => undefined },
    serviceNetwork: '',
    divergence: undefined,
    isAuditFailing: () => false,
  };
  const table = createRouteTable(readRows(parts));
  const answerHere = createAnswering(parts, table, { observe, audit });
  return {
    async handler(request) {
      const match = isPlainRead(request) ? matchOf(table, request) : undefined;
      if (match === undefined) return owner(request);
      await caughtUp();
      // A revocation that was acknowledged before; the owner says so.
      if (isRevoked(request.peer?.serialNumber ?? '')) return owner(request);
      return isForOwner(parts, match, request) ? owner(request) : answerHere(request);
    },
    close() {
      for (const listener of Array.from(closing)) listener();
      closing.clear();
      followed.close();
    },
  };
}

/** Somebody reads who is known by a certificate, and in his own name. */
function isPlainRead(request: HttpRequest): boolean {
  return request.method === 'GET' && request.peer !== undefined && !isImpersonation(request);
}

function matchOf(
  table: ReturnType<typeof createRouteTable>,
  { path, query }: HttpRequest,
): RouteMatch | undefined {
  try {
    const found = table.find('GET', path, /(?:^|&)watch(?:=(?:true|1))?(?:&|$)/.test(query));
    return found === undefined || 'allowed' in found ? undefined : found;
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
    return undefined;
  }
}

/** Asked once the copies have caught up. */
function isForOwner(
  parts: ServerParts,
  { row, parameters }: RouteMatch,
  { query: text }: HttpRequest,
): boolean {
  const { subject } = row;
  if (text === '' || subject.type !== 'resource' || subject.definition === undefined) return false;
  const { definition } = subject;
  const query = new URLSearchParams(text);
  const store = storeOf(parts, definition);
  if (row.watch) {
    const from = Number(query.get('resourceVersion') ?? '0');
    return from > 0 && from < store.oldestWatchable;
  }
  if (query.has('continue')) return true;
  const limit = Number(query.get('limit') ?? '0');
  if (!(limit > 0)) return false;
  const { namespace } = parameters;
  const resource = resourceName(definition);
  const all = namespace === undefined ? store.list(resource) : store.list(resource, namespace);
  return all.length > limit;
}
