/**
 * How a node is divided among its writers, and who owns which of its labels.
 *
 * Invariants:
 * 1. Labels that placement may rely on are never taken from users: discovery
 *    labels come from the agent's report, topology labels from the hub's
 *    assignment, and both win over anything else of the same key.
 * 2. An agent can set the three discovery labels and those for runtimes, features of
 *    the machine and its power only, whatever else its report contains.
 * 3. The taints of the hub follow from its verdict; a write of the whole object
 *    does not store them among the users'.
 * 4. Of a stored report, what is not as its schema has it counts as absent: one node
 *    cannot make its object, and so every list of nodes, unreadable.
 */
import type { JsonObject } from '#base/mod.ts';
import { conformingPart } from '../conformance.ts';
import type { FacetLayout } from '../definition.ts';
import type { ApiObject } from '../object.ts';
import { intentMetadata } from '../meta/intent-metadata.ts';
import type { ConditionStatus } from '../meta/condition.ts';
import { nodeReportSchema } from './node-status.ts';
import { isOwnedTaintKey, taintsOfIntent, taintsOfReport, taintsOfVerdict } from './node-taints.ts';
import type { NodeStatus, Taint } from './node-types.ts';

export type NodeAssignment = { region: string; site: string; podCIDR: string };

export type NodeReport = {
  /** capacity, allocatable, addresses, nodeInfo. */
  status: NodeStatus;
  /** kubernetes.io/arch, kubernetes.io/os, kubernetes.io/hostname. */
  labels: Record<string, string>;
  /** Names of the runtimes that the node offers, e.g. `script`. */
  runtimes: string[];
  /** Image platforms that it can run, e.g. `script/javascript`. */
  platforms: string[];
};

export type NodeVerdict = {
  ready: ConditionStatus;
  reason: string;
  message: string;
  /** When `ready` last changed. */
  sinceTime: string;
};

const discoveryLabels = ['kubernetes.io/arch', 'kubernetes.io/os', 'kubernetes.io/hostname'];
const topologyLabels = [
  'topology.kubernetes.io/region',
  'topology.kubernetes.io/zone',
  'selvage.dev/site',
];
const runtimeLabelPrefix = 'selvage.dev/runtime.';
const featureLabelPrefix = 'selvage.dev/feature.';
const featureLabelsMax = 64;
const powerLabel = 'selvage.dev/power';
const ownedLabels = new Set([...discoveryLabels, ...topologyLabels, powerLabel]);

/** Whether only the agent or the hub may say what this label is. */
export function isOwnedNodeLabel(key: string): boolean {
  return (
    ownedLabels.has(key) || key.startsWith(runtimeLabelPrefix) || key.startsWith(featureLabelPrefix)
  );
}

export const nodeFacets: FacetLayout = {
  split(object) {
    const metadata = intentMetadata(object);
    const labels = Object.entries(object.metadata.labels ?? {}).filter(
      ([key]) => !isOwnedNodeLabel(key),
    );
    if (labels.length > 0) metadata['labels'] = Object.fromEntries(labels);
    else delete metadata['labels'];
    const { unschedulable } = object.spec ?? {};
    const all = object.spec?.['taints'] as Taint[] | undefined;
    const taints = all?.filter(({ key }) => !isOwnedTaintKey(key));
    return {
      intent: {
        apiVersion: object.apiVersion,
        kind: object.kind,
        metadata,
        spec: {
          ...(unschedulable === undefined ? {} : { unschedulable }),
          ...(taints === undefined || taints.length === 0 ? {} : { taints }),
        },
      },
    };
  },

  fold({ intent, assignment, report, verdict }) {
    const stored = intent as unknown as ApiObject;
    const topology = assignment as NodeAssignment | undefined;
    const said = report && conformingPart(nodeReportSchema, report);
    const observed = said as Partial<NodeReport> | undefined;
    const labels = {
      ...stored.metadata.labels,
      ...labelsOfReport(observed),
      ...labelsOfTopology(topology),
    };
    const { taints: _stored, ...spec } = (intent?.['spec'] ?? {}) as JsonObject;
    const taints = [
      ...taintsOfIntent(intent),
      ...taintsOfVerdict(verdict),
      ...taintsOfReport(said),
    ];
    return {
      ...stored,
      metadata: {
        ...stored.metadata,
        ...(Object.keys(labels).length > 0 ? { labels } : {}),
      },
      spec: {
        ...spec,
        ...(taints.length > 0 ? { taints } : {}),
        ...(topology?.podCIDR ? { podCIDR: topology.podCIDR } : {}),
      },
      status: foldStatus(observed, verdict as NodeVerdict | undefined),
    };
  },
};

function labelsOfReport(report: Partial<NodeReport> | undefined): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const key of discoveryLabels) {
    const value = report?.labels?.[key];
    if (value !== undefined) labels[key] = value;
  }
  for (const runtime of report?.runtimes ?? []) labels[`${runtimeLabelPrefix}${runtime}`] = 'true';
  for (const feature of (report?.status?.machineFeatures ?? []).slice(0, featureLabelsMax)) {
    if (/^[a-z0-9][a-z0-9-]{0,40}$/.test(feature))
      labels[`${featureLabelPrefix}${feature}`] = 'true';
  }
  const power = report?.status?.power;
  if (power === 'mains' || power === 'battery') labels[powerLabel] = power;
  return labels;
}

function labelsOfTopology(topology: NodeAssignment | undefined): Record<string, string> {
  if (topology === undefined) return {};
  return {
    'topology.kubernetes.io/region': topology.region,
    'topology.kubernetes.io/zone': topology.site,
    'selvage.dev/site': topology.site,
  };
}

function foldStatus(
  report: Partial<NodeReport> | undefined,
  verdict: NodeVerdict | undefined,
): NodeStatus {
  const status: NodeStatus = { ...report?.status };
  if (report?.runtimes !== undefined) status.runtimes = report.runtimes;
  if (report?.platforms !== undefined) status.platforms = report.platforms;
  if (verdict === undefined) return status;
  const ready = {
    type: 'Ready',
    status: verdict.ready,
    reason: verdict.reason,
    message: verdict.message,
    lastTransitionTime: verdict.sinceTime,
  };
  const others = (status.conditions ?? []).filter((condition) => condition.type !== 'Ready');
  return { ...status, conditions: [...others, ready] };
}
