/**
 * What becomes of a request: row of the table, door, handler, and a Status for whatever is
 * thrown; counted and recorded.
 *
 * Invariants:
 * 1. No handler runs before `authorize` has let the request pass.
 * 2. Every refusal is a Status object with a reason; no detail of a failure that
 *    is the server's own leaves it.
 */
import { hexOf } from '#base/mod.ts';
import { StatusError } from '#platform/api/mod.ts';
import { anonymousUser, type User, userOf } from '#platform/identity/mod.ts';
import type { HttpHandler, HttpRequest, HttpResponse } from '#platform/io/mod.ts';
import { statusAnswer, statusErrorOf } from './answers.ts';
import { auditAnswer, type AuditSink } from './audit.ts';
import { authenticate, impersonated, isImpersonation } from './authentication.ts';
import { type AccessRequest, type AuthorizationSources, authorize } from './authorization.ts';
import type { ServerParts } from './dependencies.ts';
import { refuseWhileDiverged } from './divergence.ts';
import { requestUrlLengthMax } from './limits.ts';
import { acceptanceOf } from './negotiation.ts';
import { flagOf } from './query.ts';
import type { RequestObserver } from './request-metrics.ts';
import { refuseOtherSites } from './other-sites.ts';
import { newRequestNote, type RequestNote } from './request-note.ts';
import type { RouteRow, RouteTable } from './route-table.ts';
import { fieldSelectorOf } from './selection.ts';

const requestIdBytes = 4;
/** An answer that began later than this is told in the log. */
const slowRequestMs = 2_000;
const loggedPathLengthMax = 512;

export interface AnsweringOptions {
  readonly observe: RequestObserver;
  readonly audit: AuditSink | undefined;
}

export function createAnswering(
  parts: ServerParts,
  table: RouteTable,
  { observe, audit }: AnsweringOptions,
): HttpHandler {
  const { clock, random, logger } = parts;
  /** Tells one run's requests from another's. */
  const requestIdPrefix = hexOf(random.bytes(requestIdBytes));
  let requests = 0;
  return async (request) => {
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
  };
}

const readMethods = new Set(['GET', 'HEAD']);
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
  // A body without a type passes as JSON, and a page may send one to anybody unasked.
  if (request.peer !== undefined && !readMethods.has(request.method)) {
    noting(note, () => refuseOtherSites(request.headers, 'change anything'));
  }
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
