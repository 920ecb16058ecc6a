/**
 * What nodes report, applied to the store.
 *
 * Invariants:
 * 1. A node reports on itself, on pods that are assigned to it and on claims whose data
 *    it keeps, by uid; the rest is refused and counted, and never holds up what comes
 *    behind it.
 * 2. All of a report is looked at before it is stored: what everybody who reads nodes
 *    and pods gets is of the types that they expect, whatever an agent sends.
 * 3. Reports and the sequence up to which they were applied are one transaction,
 *    so an entry that is delivered again is not applied again.
 */
import { assert, type JsonObject, type Uid } from '#base/mod.ts';
import {
  conforms,
  findUnknownFields,
  pruneUnknownFields,
  reportSchemas,
  validateAgainstSchema,
} from '#platform/api/mod.ts';
import type { Clock, Logger, Random } from '#platform/io/mod.ts';
import type { Change, ObjectKey, Store, StoredObject, StoreView } from '#platform/store/mod.ts';
import type { SequencedEntry, UpwardEntry } from '#platform/sync/mod.ts';
import type { AgentEvent, EventReports } from './event-reports.ts';
import { claimsResource, nodeKey, nodeNameOf, putFacet, readFacet } from './stored-facets.ts';

const reportBytesMax = 64 * 1024;
const unknownFieldsToldMax = 5;
export const cursorResource = 'outboxcursors.selvage.dev';

export interface ReportsDependencies {
  readonly store: Store;
  readonly random: Random;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly events: EventReports;
  /** Called after a report of a node itself is durable. */
  readonly onNodeReport: (nodeName: string) => void;
}

type Remark = { readonly what: 'all' | 'some fields'; readonly reason: string };
type Refusal = Remark & { readonly sequence: number };

const cursorKey = (nodeName: string): ObjectKey => ({
  resource: cursorResource,
  namespace: '',
  name: nodeName,
});

export class Reports {
  readonly #dependencies: ReportsDependencies;

  constructor(dependencies: ReportsDependencies) {
    this.#dependencies = dependencies;
  }

  /** Highest sequence applied of this outbox; 0 for none. */
  lastApplied(nodeName: string, incarnation: string): number {
    return appliedOf(this.#dependencies.store, nodeName, incarnation);
  }

  async apply(
    nodeName: string,
    incarnation: string,
    entries: readonly SequencedEntry[],
    lastSequence: number,
  ): Promise<void> {
    const { store, random, events, logger, onNodeReport } = this.#dependencies;
    // Before the sequence is noted as applied: an entry is acknowledged once it is there.
    await this.#deliverEvents(nodeName, incarnation, entries);
    const cursorUid = random.uuid() as Uid;
    const { result } = await store.transact((view) => {
      const refusals: Refusal[] = [];
      const changes = new Map<string, Change>();
      const applied = appliedOf(view, nodeName, incarnation);
      const fresh = entries.filter(({ sequence }) => sequence > applied);
      for (const { sequence, entry } of fresh) {
        if (entry.type !== 'report') continue;
        const object = subjectIn(view, nodeName, entry.key, entry.uid);
        if (object === undefined) continue;
        const { change, remark } = judge(object, entry.report);
        if (remark !== undefined) refusals.push({ sequence, ...remark });
        if (change === undefined) continue;
        const { resource, namespace, name } = object.key;
        changes.set(`${resource}/${namespace}/${name}`, change);
      }
      const key = cursorKey(nodeName);
      const uid = view.get(key)?.uid ?? cursorUid;
      const position = { incarnation, sequence: Math.max(applied, lastSequence) };
      const cursor = putFacet({ key, uid }, 'intent', position);
      return { changes: [...changes.values(), cursor], result: { refusals, fresh } };
    });
    for (const { sequence, what, reason } of result.refusals) {
      const said = what === 'all' ? 'a report was refused' : 'a part of a report was refused';
      logger.log('warn', said, { node: nodeName, sequence, reason });
      const node = store.get(nodeKey(nodeName));
      if (node !== undefined) events.record('hub', node, 'Warning', 'ReportRefused', reason);
    }
    let hasNodeReport = false;
    for (const { entry } of result.fresh) {
      if (entry.type === 'report') hasNodeReport ||= entry.key.resource === 'nodes';
    }
    if (hasNodeReport) onNodeReport(nodeName);
  }

  /** In the order in which they were told; each is durable, or refused and said to be. */
  async #deliverEvents(
    nodeName: string,
    incarnation: string,
    entries: readonly SequencedEntry[],
  ): Promise<void> {
    const { store, events, logger } = this.#dependencies;
    const applied = appliedOf(store, nodeName, incarnation);
    let refused = 0;
    for (const { sequence, entry } of entries) {
      if (sequence <= applied || entry.type === 'report') continue;
      const event = this.#eventOf(nodeName, entry);
      if (event === undefined) continue;
      if (!(await events.deliver(nodeName, { incarnation, sequence }, event))) refused += 1;
    }
    if (refused === 0) return;
    logger.log('warn', 'events were refused', { node: nodeName, refused });
    const node = store.get(nodeKey(nodeName));
    const message = `${refused} events of this node were refused by the server`;
    if (node !== undefined) events.record('hub', node, 'Warning', 'EventsDropped', message);
  }

  #eventOf(
    nodeName: string,
    entry: UpwardEntry & { readonly type: 'event' | 'gap' },
  ): AgentEvent | undefined {
    const { store, clock } = this.#dependencies;
    if (entry.type === 'gap') {
      const regarding = store.get(nodeKey(nodeName));
      const message =
        entry.cause === 'disk'
          ? 'the disk of this node has lost what it had to tell: events before this may be missing'
          : `${entry.droppedCount} events of this node were dropped for want of space while it was cut off`;
      const what = { severity: 'Warning', reason: 'EventsDropped', message } as const;
      return regarding && { regarding, ...what, atWallMs: clock.wallMs() };
    }
    const { severity, reason, message, atWallMs } = entry;
    const regarding = subjectIn(store, nodeName, entry.regarding.key, entry.regarding.uid);
    return regarding && { regarding, severity, reason, message, atWallMs };
  }
}

/**
 * What a report changes; nothing where it is refused. Fields that are not known, as of an
 * agent that is newer than its server, are left out, and the rest counts.
 */
function judge(
  object: StoredObject,
  report: JsonObject,
): { readonly change?: Change; readonly remark?: Remark } {
  const { resource, namespace, name } = object.key;
  const about = `the report on ${resource} ${namespace === '' ? '' : `${namespace}/`}${name}`;
  const refuse = (reason: string) => ({ remark: { what: 'all' as const, reason } });
  const schema = reportSchemas.get(resource);
  assert(schema !== undefined, 'what nodes may speak of has a schema for it');
  const isAsKnown = conforms(schema, report);
  if (!isAsKnown) {
    const [first] = validateAgainstSchema(schema, report, { errorsMax: 1 });
    if (first !== undefined) {
      return refuse(`${about} is not valid: ${first.field}: ${first.message}`);
    }
  }
  const change = putFacet(
    object,
    'report',
    isAsKnown ? report : pruneUnknownFields(schema, report),
  );
  const sizeBytes = change.bytes.length;
  if (sizeBytes > reportBytesMax) {
    return refuse(`${about} has ${sizeBytes} bytes, above the limit of ${reportBytesMax}`);
  }
  const unknown = isAsKnown ? [] : findUnknownFields(schema, report, unknownFieldsToldMax);
  if (unknown.length === 0) return { change };
  const paths = unknown.map(({ path }) => path).join(', ');
  const reason = `${about} has fields that this server does not know, which are left out: ${paths}`;
  return { change, remark: { what: 'some fields', reason } };
}

/** The object where the node may speak of it: itself, or a pod or a claim of its own. */
function subjectIn(
  view: Pick<StoreView, 'get'>,
  nodeName: string,
  key: ObjectKey,
  uid: string,
): StoredObject | undefined {
  const isItself = key.resource === 'nodes' && key.namespace === '' && key.name === nodeName;
  if (!isItself && key.resource !== 'pods' && key.resource !== claimsResource) return undefined;
  const object = view.get(key);
  if (object === undefined || object.uid !== uid) return undefined;
  return isItself || nodeNameOf(object) === nodeName ? object : undefined;
}

function appliedOf(view: Pick<StoreView, 'get'>, nodeName: string, incarnation: string): number {
  const stored = view.get(cursorKey(nodeName));
  const cursor: JsonObject | undefined =
    stored === undefined ? undefined : readFacet(stored, 'intent');
  if (cursor?.['incarnation'] !== incarnation) return 0;
  const { sequence } = cursor;
  return typeof sequence === 'number' ? sequence : 0;
}

/** Takes the cursor of a node that is gone away with it. */
export function forgetCursor(view: Pick<StoreView, 'get'>, nodeName: string): readonly Change[] {
  const stored = view.get(cursorKey(nodeName));
  return stored === undefined ? [] : [{ type: 'delete', key: stored.key, uid: stored.uid }];
}
