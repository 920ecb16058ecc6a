/**
 * What of the requests goes into the audit log, and as what.
 *
 * Invariants:
 * 1. Neither a body nor a header but the user agent is ever looked at.
 * 2. What the door refused is always recorded, whoever asked for whatever.
 * 3. An answer that goes on (a watch, a log, a way into a container) is recorded when it
 *    begins and when it has ended; any other when its status is known.
 * What is left out is counted; docs/operations/audit.md says what it is and why.
 */
import type { AuditEvent, AuditLog, AuditObjectRef, AuditUser } from '#platform/audit/mod.ts';
import { anonymousUser, type User } from '#platform/identity/mod.ts';
import {
  type ByteSink,
  type Clock,
  type HttpRequest,
  type HttpResponse,
  inProcessAddress,
  microTimestampOf,
  type PlainConnection,
  type RefusedRequest,
} from '#platform/io/mod.ts';
import { auditedAddress } from './audited-address.ts';
import {
  auditedGroupsMax,
  auditedNameLengthMax,
  auditedReasonLengthMax,
  auditedUserAgentLengthMax,
} from './limits.ts';
import { newRequestNote, type RequestNote } from './request-note.ts';

export type AuditSink = Pick<AuditLog, 'record' | 'omit'>;

export interface AnsweredRequest {
  readonly requestId: string;
  readonly request: HttpRequest;
  readonly note: RequestNote;
  readonly response: HttpResponse;
  readonly receivedWallMs: number;
}

/** What is looked at of it for a line. */
interface Recordable extends Omit<AnsweredRequest, 'request' | 'response'> {
  readonly request: Omit<RefusedRequest, 'why'>;
  readonly response: Pick<HttpResponse, 'status'>;
}

/** The same alone, as a watch keeps it until it ends: without the request and its headers. */
interface RecordedRequest
  extends
    Omit<Recordable, 'request' | 'response'>,
    Pick<HttpRequest, 'method' | 'path' | 'query' | 'remoteAddress'> {
  readonly userAgent: string | undefined;
  readonly status: number;
}

/** Records the request, now or when its answer has ended; gives the answer to send. */
export function auditAnswer(
  sink: AuditSink,
  clock: Clock,
  answered: AnsweredRequest,
): HttpResponse {
  const { response, note } = answered;
  const { body, upgrade } = response;
  if (!isAudited(answered)) {
    sink.omit();
    return response;
  }
  const recorded = recordedOf(answered);
  const isStream = typeof body === 'function' || upgrade !== undefined;
  if (!isStream) {
    sink.record(eventOf(recorded, 'ResponseComplete', clock.wallMs()));
    return response;
  }
  if (isLong(note)) sink.record(eventOf(recorded, 'ResponseStarted', clock.wallMs()));
  const complete = completionOf(sink, clock, recorded);
  return {
    ...response,
    body: typeof body === 'function' ? (to) => body(toldOfEnd(to, complete)) : body,
    ...(upgrade === undefined
      ? {}
      : { upgrade: (connection) => upgrade(toldOfClose(connection, complete)) }),
  };
}

function recordedOf({
  requestId,
  request,
  note,
  response,
  receivedWallMs,
}: Recordable): RecordedRequest {
  return {
    requestId,
    method: request.method,
    path: request.path,
    query: request.query,
    remoteAddress: request.remoteAddress,
    userAgent: request.headers['user-agent'],
    note,
    status: response.status,
    receivedWallMs,
  };
}

/** Records a request that its listener has answered 401, as asked by nobody who is known. */
export function auditRefused(
  sink: AuditSink,
  clock: Clock,
  requestId: string,
  refused: RefusedRequest,
): void {
  const nowMs = clock.wallMs();
  const { why, ...request } = refused;
  const note: RequestNote = { ...newRequestNote(), decision: { isAllowed: false, reason: why } };
  const answered = { requestId, request, note, response: { status: 401 }, receivedWallMs: nowMs };
  sink.record(eventOf(recordedOf(answered), 'ResponseComplete', nowMs));
}

/** Records the end, once. Of its own, so that nothing else of the request is held with it. */
function completionOf(sink: AuditSink, clock: Clock, recorded: RecordedRequest): () => void {
  let open: RecordedRequest | undefined = recorded;
  return () => {
    if (open === undefined) return;
    sink.record(eventOf(open, 'ResponseComplete', clock.wallMs()));
    open = undefined;
  };
}

function toldOfEnd(sink: ByteSink, onEnd: () => void): ByteSink {
  sink.onClose(onEnd);
  return sink;
}

function toldOfClose(connection: PlainConnection, onEnd: () => void): PlainConnection {
  connection.onClose(onEnd);
  return connection;
}

const longSubresources = new Set(['log', 'exec', 'attach', 'portforward']);

function isLong({ row }: RequestNote): boolean {
  if (row?.subject.type !== 'resource') return false;
  return row.watch || longSubresources.has(row.subject.subresource ?? '');
}

/** Metadata of what people and programs ask; of our own parts only what they change on purpose. */
export function isAudited({
  request,
  note,
  response,
}: Pick<AnsweredRequest, 'request' | 'note' | 'response'>): boolean {
  if (response.status === 401 || response.status === 403) return true;
  const subject = note.row?.subject;
  if (subject === undefined) return true;
  if (subject.type === 'path') {
    return subject.area !== 'health' && subject.area !== 'version' && subject.area !== 'metrics';
  }
  if (request.remoteAddress !== inProcessAddress) return true;
  if (['get', 'list', 'watch'].includes(subject.verb)) return false;
  return subject.subresource !== 'status' && subject.resource !== 'events';
}

function eventOf(
  recorded: RecordedRequest,
  stage: AuditEvent['stage'],
  nowWallMs: number,
): AuditEvent {
  const { requestId, method, path, query, userAgent, remoteAddress, note } = recorded;
  const objectRef = objectRefOf(note);
  const { user, impersonated, decision } = note;
  return {
    kind: 'Event',
    apiVersion: 'audit.k8s.io/v1',
    level: 'Metadata',
    auditID: requestId,
    stage,
    requestURI: auditedAddress(path, query),
    verb: note.row?.subject.verb ?? bounded(method.toLowerCase(), 16),
    user: auditUserOf(user ?? anonymousUser),
    ...(impersonated === undefined ? {} : { impersonatedUser: auditUserOf(impersonated) }),
    sourceIPs: [remoteAddress],
    ...(userAgent === undefined
      ? {}
      : { userAgent: bounded(userAgent, auditedUserAgentLengthMax) }),
    ...(objectRef === undefined ? {} : { objectRef }),
    responseStatus: { metadata: {}, code: recorded.status },
    requestReceivedTimestamp: microTimestampOf(recorded.receivedWallMs),
    stageTimestamp: microTimestampOf(nowWallMs),
    annotations:
      decision === undefined
        ? {}
        : {
            'authorization.k8s.io/decision': decision.isAllowed ? 'allow' : 'forbid',
            'authorization.k8s.io/reason': bounded(decision.reason, auditedReasonLengthMax),
          },
  };
}

function auditUserOf({ name, groups }: User): AuditUser {
  return {
    username: bounded(name, auditedNameLengthMax),
    groups: groups.slice(0, auditedGroupsMax).map((group) => bounded(group, auditedNameLengthMax)),
  };
}

function objectRefOf({ row, parameters, objectName }: RequestNote): AuditObjectRef | undefined {
  if (row?.subject.type !== 'resource') return undefined;
  const { group, resource, subresource, definition } = row.subject;
  const { namespace = '' } = parameters;
  const name = parameters['name'] ?? objectName ?? '';
  const version = definition?.version;
  return {
    resource,
    ...(namespace === '' ? {} : { namespace: bounded(namespace, auditedNameLengthMax) }),
    ...(name === '' ? {} : { name: bounded(name, auditedNameLengthMax) }),
    ...(group === '' ? {} : { apiGroup: group }),
    ...(version === undefined ? {} : { apiVersion: version }),
    ...(subresource === undefined ? {} : { subresource }),
  };
}

function bounded(text: string, lengthMax: number): string {
  return text.length <= lengthMax ? text : `${text.slice(0, lengthMax)}…`;
}
