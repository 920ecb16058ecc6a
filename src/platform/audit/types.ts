/**
 * What the audit log takes and keeps. An event has the shape of audit.k8s.io/v1
 * `Event`, so that tools for those read it; marks are the log's own words in the same
 * chain: where it began, what it lost, what it found damaged.
 */

/** Long requests have both stages, all others the second alone. */
export type AuditStage = 'ResponseStarted' | 'ResponseComplete';

export interface AuditUser {
  readonly username: string;
  readonly groups: readonly string[];
}

export interface AuditObjectRef {
  readonly resource: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly apiGroup?: string;
  readonly apiVersion?: string;
  readonly subresource?: string;
}

export interface AuditEvent {
  readonly kind: 'Event';
  readonly apiVersion: 'audit.k8s.io/v1';
  readonly level: 'Metadata';
  /** The `audit-id` header of the answer. */
  readonly auditID: string;
  readonly stage: AuditStage;
  readonly requestURI: string;
  readonly verb: string;
  readonly user: AuditUser;
  readonly impersonatedUser?: AuditUser;
  readonly sourceIPs: readonly string[];
  readonly userAgent?: string;
  /** Absent for paths outside of the resources. */
  readonly objectRef?: AuditObjectRef;
  readonly responseStatus: { readonly metadata: object; readonly code: number };
  readonly requestReceivedTimestamp: string;
  readonly stageTimestamp: string;
  readonly annotations: Readonly<Record<string, string>>;
}

export type AuditMarkType =
  /** A segment begins; it says what it follows. */
  | 'segment'
  /** A server has opened the log. */
  | 'start'
  /** It was closed in order: nothing that was recorded before is missing. */
  | 'stop'
  /** Events that were not recorded, and why. */
  | 'gap'
  /** What did not fit when the log was opened; it is left as it was found. */
  | 'damage';

export interface AuditMark {
  readonly kind: 'Mark';
  readonly apiVersion: 'audit.selvage.dev/v1';
  readonly mark: AuditMarkType;
  readonly timestamp: string;
  readonly message: string;
  /** Of a gap. */
  readonly lostEvents?: number;
  /** Of a segment: the chain of the line before it. */
  readonly follows?: string;
}

export type AuditEntry = AuditEvent | AuditMark;

export interface AuditState {
  /** Of the newest line that is on disk; 0 before the first. */
  readonly sequence: number;
  /** Events that were let go, since the open. */
  readonly lost: number;
  /** Events that policy leaves out, since the open. */
  readonly omitted: number;
  readonly waiting: number;
  /** Why nothing could be written at the last try; undefined where it could. */
  readonly failure: string | undefined;
}

export interface AuditLog {
  /** Queues it and returns at once; where the queue is full it is counted as lost. */
  record(event: AuditEvent): void;
  /** Events that somebody else let go: they become part of the next gap. */
  lose(count: number, why: string): void;
  /** Counts what policy leaves out; one where no count is given. */
  omit(count?: number): void;
  /** Says in the chain that something may be missing which nobody could count. */
  declare(why: string): void;
  state(): AuditState;
  /** Writes what waits, marks the end and closes the file. */
  close(): Promise<void>;
}
