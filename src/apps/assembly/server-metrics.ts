/** What a server tells of itself beyond its requests: stores, nodes and controllers. */
import { resources } from '#platform/api/mod.ts';
import type { AuditLog } from '#platform/audit/mod.ts';
import type { Metrics } from '#platform/metrics/mod.ts';
import type { Store } from '#platform/store/mod.ts';

export interface ObservedServer {
  readonly store: Store;
  readonly eventStore: Store;
  /** Stored resources, by the name that the store has for them. */
  readonly resourceNames: () => readonly string[];
  readonly connectedNodes: () => number;
  readonly queues: () => Iterable<readonly [controller: string, size: number]>;
}

export function observeServer(metrics: Metrics, observed: ObservedServer): void {
  const { store, eventStore } = observed;
  metrics.observed(
    'selvage_store_objects',
    'Objects in the store, by resource.',
    'gauge',
    ['resource'],
    () => observed.resourceNames().map((name) => [[name], store.list(name).length] as const),
  );
  metrics.observed('selvage_events', 'Events that are kept.', 'gauge', [], () => [
    [[], eventStore.list(resources.events.plural).length],
  ]);
  metrics.observed(
    'selvage_store_revision',
    'The newest revision that is on disk.',
    'gauge',
    [],
    () => [[[], store.head().sequence]],
  );
  metrics.observed(
    'selvage_store_latched',
    '1 after a failure of the disk, until the server is started again.',
    'gauge',
    ['store'],
    () => [
      [['main'], store.isLatched ? 1 : 0],
      [['events'], eventStore.isLatched ? 1 : 0],
    ],
  );
  metrics.observed(
    'selvage_hub_connected_nodes',
    'Nodes that hold a link now.',
    'gauge',
    [],
    () => [[[], observed.connectedNodes()]],
  );
  metrics.observed(
    'selvage_controller_queue_keys',
    'Keys that wait for a controller or are being worked on.',
    'gauge',
    ['controller'],
    function* () {
      for (const [controller, size] of observed.queues()) yield [[controller], size] as const;
    },
  );
}

export function observeAudit(metrics: Metrics, audit: AuditLog): void {
  metrics.observed(
    'selvage_audit_lines',
    'Number of the newest line of the audit log that is on disk.',
    'gauge',
    [],
    () => [[[], audit.state().sequence]],
  );
  metrics.observed(
    'selvage_audit_lost_total',
    'Events that the audit log could not take; the log declares each gap.',
    'counter',
    [],
    () => [[[], audit.state().lost]],
  );
  metrics.observed(
    'selvage_audit_omitted_total',
    'Requests that policy leaves out of the audit log.',
    'counter',
    [],
    () => [[[], audit.state().omitted]],
  );
  metrics.observed(
    'selvage_audit_waiting_events',
    'Events that wait to be written into the audit log.',
    'gauge',
    [],
    () => [[[], audit.state().waiting]],
  );
  metrics.observed(
    'selvage_audit_failing',
    '1 while the audit log cannot be written.',
    'gauge',
    [],
    () => [[[], audit.state().failure === undefined ? 0 : 1]],
  );
}
