/**
 * How a pod is divided among its writers.
 *
 * Invariants:
 * 1. Users write intent; `spec.nodeName` in a new pod becomes the first
 *    assignment. Once assigned, only the hub writes that facet: a later write by
 *    a user must not touch it (validation refuses another node name).
 * 2. The agent alone writes the report, the hub alone the verdict.
 * 3. What the verdict says lies over what the report says, but for `waiting`, which lies
 *    under it: that is said as long as no node says anything.
 */
import { isJsonObject, type JsonObject } from '#base/mod.ts';
import type { FacetLayout } from '../definition.ts';
import type { ApiObject } from '../object.ts';
import { intentMetadata } from '../meta/intent-metadata.ts';
import { qualityClassOf } from './pod-quality.ts';
import type { PodCondition, PodPhase, PodStatus } from './pod-types.ts';

/** Where the pod runs, and which bytes each image reference meant when that was decided. */
export type PodAssignment = {
  nodeName: string;
  /** From image reference to the sha256 digest of its index, or of one entry where a RuntimeClass chooses. */
  images: Record<string, string>;
};

export type PodReport = {
  status: PodStatus;
  /** Every container is gone and stays gone: the hub may remove the object. */
  terminated?: true;
  /** What became of the pod while its node was lost: the answer to the verdict of that id. */
  answersLost?: { id: string; isRunning: boolean };
};

export type PodVerdict = {
  status?: { phase?: PodPhase; reason?: string; message?: string; nominatedNodeName?: string };
  conditions?: PodCondition[];
  /** Why containers wait that have no node yet. */
  waiting?: Pick<PodStatus, 'initContainerStatuses' | 'containerStatuses'>;
  /** What is wrong with images that it asks for since it was placed, by reference. */
  imagesUnknown?: Record<string, string>;
  /**
   * Given up with its node and replaced: the node starts nothing of it, and
   * answers whether it still runs.
   */
  lost?: { id: string };
};

export const podFacets: FacetLayout = {
  split(object) {
    const { nodeName, ...spec } = object.spec ?? {};
    return {
      intent: {
        apiVersion: object.apiVersion,
        kind: object.kind,
        metadata: intentMetadata(object),
        spec,
      },
      ...(typeof nodeName === 'string' && nodeName !== ''
        ? { assignment: { nodeName, images: {} } }
        : {}),
      ...(isJsonObject(object.status) ? { report: { status: object.status } } : {}),
    };
  },

  fold({ intent, assignment, report, verdict }) {
    const nodeName = assignment?.['nodeName'];
    return {
      ...(intent as unknown as ApiObject),
      spec: {
        ...(intent?.['spec'] as JsonObject | undefined),
        ...(nodeName === undefined ? {} : { nodeName }),
      },
      status: { ...foldStatus(report, verdict), qosClass: qualityClassOf(intent) },
    };
  },
};

function foldStatus(report: JsonObject | undefined, verdict: JsonObject | undefined): PodStatus {
  const { status: said } = report ?? {};
  const observed: PodStatus = isJsonObject(said) ? said : {};
  const { status: concluded = {}, conditions = [], waiting } = (verdict ?? {}) as PodVerdict;
  const status: PodStatus = { ...waiting, ...observed, ...concluded };
  status.phase ??= 'Pending';
  const overruled = new Set(conditions.map((condition) => condition.type));
  const all = [
    ...conditions,
    ...conditionsIn(observed).filter((condition) => !overruled.has(condition.type)),
  ];
  if (all.length > 0) status.conditions = all;
  else if (observed.conditions !== undefined) status.conditions = [];
  return status;
}

/** What is malformed in what is stored counts as absent. */
function conditionsIn({ conditions }: PodStatus): readonly PodCondition[] {
  return Array.isArray(conditions) ? conditions.filter(isJsonObject) : [];
}
