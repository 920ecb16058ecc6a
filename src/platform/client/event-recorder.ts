/**
 * Tells people what happened to an object, as core/v1 Events.
 *
 * Invariants:
 * 1. Never throws into its caller and never makes it wait.
 * 2. Equal reports become one Event that counts; its name follows from what it
 *    says, so that a restarted program goes on counting.
 * 3. Memory is bounded: at most pendingMax reports wait and at most knownMax
 *    Events are remembered; what does not fit is dropped and counted.
 */
import { hash } from 'node:crypto';
import type { JsonObject } from '#base/mod.ts';
import { type ApiObject, resources, StatusError } from '#platform/api/mod.ts';
import { type Clock, timestampOf } from '#platform/io/mod.ts';
import type { Client } from './types.ts';

const pendingMax = 1_000;
const knownMax = 2_000;
const messageLengthMax = 1_024;
/** Names of objects have at most 253 characters; this leaves room for the rest of the name. */
const objectNameLengthMax = 236;
const hashLength = 16;
const raiseAttemptsMax = 8;

export interface EventReport {
  /** The object that it happened to, as it was read. */
  readonly regarding: ApiObject;
  readonly severity: 'Normal' | 'Warning';
  /** One word: `SuccessfulCreate`. */
  readonly reason: string;
  readonly message: string;
}

export interface EventRecorderOptions {
  /** The part of the program that reports: `deployment-controller`. */
  readonly component: string;
  readonly host?: string;
}

export interface EventRecorder {
  record(report: EventReport): void;
  /** Reports that were dropped: no room, or the server would not have them. */
  droppedCount(): number;
  /** Resolves when everything recorded so far has been written or dropped. */
  idle(): Promise<void>;
}

type Known = {
  readonly namespace: string;
  readonly name: string;
  readonly event: JsonObject;
  /** On the server, as far as this recorder knows; 0 before the first write. */
  count: number;
  /** Seen since the last write. */
  unwritten: number;
  lastTimestamp: string;
};

export function createEventRecorder(
  client: Client,
  clock: Clock,
  options: EventRecorderOptions,
): EventRecorder {
  const known = new Map<string, Known>();
  const pending = new Set<Known>();
  let dropped = 0;
  let draining: Promise<void> | undefined;

  function record(report: EventReport): void {
    const entry = entryOf(report);
    if (!pending.has(entry) && pending.size >= pendingMax) {
      dropped += 1;
      return;
    }
    entry.unwritten += 1;
    entry.lastTimestamp = timestampOf(clock.wallMs());
    pending.add(entry);
    draining ??= drain();
  }

  function entryOf(report: EventReport): Known {
    const fresh = describe(report, options, timestampOf(clock.wallMs()));
    const key = `${fresh.namespace}/${fresh.name}`;
    const entry = known.get(key) ?? fresh;
    // Deleting and setting again keeps the map in order of last use.
    known.delete(key);
    known.set(key, entry);
    for (const oldest of known.keys()) {
      if (known.size <= knownMax) break;
      known.delete(oldest);
    }
    return entry;
  }

  async function drain(): Promise<void> {
    for (const entry of pending) {
      pending.delete(entry);
      const reports = entry.unwritten;
      entry.unwritten = 0;
      try {
        await write(client, entry, reports);
      } catch {
        // Events are a courtesy: what they tell about goes on without them.
        dropped += reports;
      }
    }
    draining = undefined;
  }

  return {
    record,
    droppedCount: () => dropped,
    async idle() {
      for (let current = draining; current !== undefined; current = draining) await current;
    },
  };
}

/** Where an event stands in what its teller delivers: in one incarnation numbers rise. */
export interface EventPosition {
  readonly incarnation: string;
  readonly sequence: number;
}

export const eventPositionAnnotation = 'selvage.dev/delivered';

/**
 * Writes one event of somebody who delivers in order and perhaps again: what the Event of
 * that name has counted already, by its position, is not counted twice. Resolves when it
 * is durable. Throws what the server answers; StatusError where it will not have it.
 */
export async function deliverEvent(
  client: Client,
  report: EventReport,
  options: EventRecorderOptions,
  { incarnation, sequence }: EventPosition,
  happenedAt: string,
): Promise<void> {
  const { namespace, name, event } = describe(report, options, happenedAt);
  const position = `${incarnation}/${sequence}`;
  const annotations = { [eventPositionAnnotation]: position };
  const metadata = { name, namespace, annotations };
  try {
    await client.create(resources.events, {
      ...(event as unknown as ApiObject),
      metadata,
      lastTimestamp: happenedAt,
      count: 1,
    });
    return;
  } catch (error) {
    if (!isReason(error, 'AlreadyExists')) throw error;
  }
  for (let attempt = 1; ; attempt += 1) {
    const existing = await client.get(resources.events, namespace, name);
    const known = existing.metadata.annotations?.[eventPositionAnnotation] ?? '';
    const [knownIncarnation, knownSequence] = known.split('/');
    if (knownIncarnation === incarnation && Number(knownSequence) >= sequence) return;
    const count = typeof existing['count'] === 'number' ? existing['count'] : 1;
    try {
      // With the version that was read: the same teller may be heard twice at a time.
      await client.update(resources.events, {
        ...existing,
        metadata: { ...existing.metadata, annotations },
        lastTimestamp: happenedAt,
        count: count + 1,
      });
      return;
    } catch (error) {
      if (!isReason(error, 'Conflict') || attempt === raiseAttemptsMax) throw error;
    }
  }
}

function describe(report: EventReport, options: EventRecorderOptions, now: string): Known {
  const { regarding, severity, reason } = report;
  const { metadata } = regarding;
  const namespace = metadata.namespace ?? 'default';
  const message =
    report.message.length <= messageLengthMax
      ? report.message
      : `${report.message.slice(0, messageLengthMax - 1)}…`;
  const parts = [regarding.kind, metadata.uid ?? '', severity, reason, message, options.component];
  const digest = hash('sha256', JSON.stringify(parts), 'hex').slice(0, hashLength);
  const name = `${metadata.name.slice(0, objectNameLengthMax)}.${digest}`;
  return {
    namespace,
    name,
    count: 0,
    unwritten: 0,
    lastTimestamp: now,
    event: {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name, namespace },
      involvedObject: {
        apiVersion: regarding.apiVersion,
        kind: regarding.kind,
        name: metadata.name,
        ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }),
        ...(metadata.uid === undefined ? {} : { uid: metadata.uid }),
        ...(metadata.resourceVersion === undefined
          ? {}
          : { resourceVersion: metadata.resourceVersion }),
      },
      type: severity,
      reason,
      message,
      source: {
        component: options.component,
        ...(options.host === undefined ? {} : { host: options.host }),
      },
      reportingComponent: options.component,
      firstTimestamp: now,
    },
  };
}

/** Creates the Event or raises its count, whichever fits what the server has. */
async function write(client: Client, entry: Known, reports: number): Promise<void> {
  const { namespace, name } = entry;
  if (entry.count > 0) {
    try {
      return await raise(client, entry, entry.count + reports);
    } catch (error) {
      // Old events make room for new ones: then this one begins again.
      if (!isReason(error, 'NotFound')) throw error;
    }
  }
  try {
    await client.create(resources.events, {
      ...(entry.event as unknown as ApiObject),
      lastTimestamp: entry.lastTimestamp,
      count: reports,
    });
    entry.count = reports;
  } catch (error) {
    if (!isReason(error, 'AlreadyExists')) throw error;
    const existing = await client.get(resources.events, namespace, name);
    const count = typeof existing['count'] === 'number' ? existing['count'] : 1;
    await raise(client, entry, count + reports);
  }
}

async function raise(client: Client, entry: Known, count: number): Promise<void> {
  await client.mergePatch(resources.events, entry.namespace, entry.name, {
    count,
    lastTimestamp: entry.lastTimestamp,
  });
  entry.count = count;
}

function isReason(error: unknown, reason: StatusError['reason']): boolean {
  return error instanceof StatusError && error.reason === reason;
}
