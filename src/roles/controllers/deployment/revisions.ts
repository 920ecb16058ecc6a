/**
 * Replica sets as the history of a deployment: which one has the present
 * template, what they are called, and which revision each of them is.
 */
import type { Json } from '#base/mod.ts';
import {
  type ApiObject,
  type Deployment,
  equalJson,
  type PodTemplate,
  type ReplicaSet,
} from '#platform/api/mod.ts';
import { controllerReference } from '../shared/ownership.ts';
import { templateHash } from '../shared/template-hash.ts';

export const revisionAnnotation = 'deployment.kubernetes.io/revision';
const hashLabel = 'pod-template-hash';

/** Annotations of a deployment that say nothing about its replica sets. */
const ownAnnotations = new Set([
  revisionAnnotation,
  'kubectl.kubernetes.io/last-applied-configuration',
]);

/** Of the deployment's part, so that the hash and a pod's suffix still fit. */
const namePartMax = 46;

export function revisionOfSet({ metadata }: ApiObject): number {
  const text = metadata.annotations?.[revisionAnnotation] ?? '0';
  return /^\d{1,15}$/u.test(text) ? Number(text) : 0;
}

/** Whether the set makes pods of this template, apart from the label that tells sets apart. */
export function hasTemplate(set: ReplicaSet, template: PodTemplate): boolean {
  return equalJson(comparable(set.spec.template), comparable(template));
}

function comparable({ metadata = {}, spec }: PodTemplate): Json {
  const { [hashLabel]: _hash, ...labels } = metadata.labels ?? {};
  const annotations = metadata.annotations ?? {};
  return { labels, annotations, spec: spec as unknown as Json };
}

/** The set with the present template: the oldest, should there be several. */
export function findCurrent(
  deployment: Deployment,
  sets: readonly ReplicaSet[],
): ReplicaSet | undefined {
  return inOrderOfAge(sets).find((set) => hasTemplate(set, deployment.spec.template));
}

export function inOrderOfAge(sets: readonly ReplicaSet[]): ReplicaSet[] {
  const born = ({ metadata }: ReplicaSet): string => metadata.creationTimestamp ?? '';
  return [...sets].sort(
    (left, right) =>
      compareText(born(left), born(right)) || compareText(left.metadata.name, right.metadata.name),
  );
}

function compareText(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

/** A new set for the present template. */
export function makeReplicaSet(
  deployment: Deployment,
  replicas: number,
  revision: number,
): ApiObject & ReplicaSet {
  const { metadata, spec } = deployment;
  const digest = templateHash(spec.template, deployment.status?.collisionCount ?? 0);
  const labels = { ...spec.template.metadata?.labels, [hashLabel]: digest };
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name: `${metadata.name.slice(0, namePartMax)}-${digest}`,
      namespace: metadata.namespace ?? '',
      labels,
      annotations: annotationsFor(deployment, {}, revision),
      ownerReferences: [controllerReference(deployment)],
    },
    spec: {
      replicas,
      selector: {
        ...spec.selector,
        matchLabels: { ...spec.selector.matchLabels, [hashLabel]: digest },
      },
      template: {
        ...spec.template,
        metadata: { ...spec.template.metadata, labels },
      },
      ...(spec.minReadySeconds === undefined ? {} : { minReadySeconds: spec.minReadySeconds }),
    },
  };
}

/** What the current set is annotated with: what the deployment says of itself, and its revision. */
export function annotationsFor(
  deployment: Deployment,
  present: Readonly<Record<string, string>>,
  revision: number,
): Record<string, string> {
  const told = Object.entries(deployment.metadata.annotations ?? {}).filter(
    ([name]) => !ownAnnotations.has(name),
  );
  return { ...present, ...Object.fromEntries(told), [revisionAnnotation]: String(revision) };
}

/** Sets beyond the history limit that hold nothing any more, oldest revision first. */
export function planCleanup(older: readonly ReplicaSet[], historyMax: number): ReplicaSet[] {
  const idle = older.filter(
    ({ spec, status, metadata }) =>
      spec.replicas === 0 &&
      (status?.replicas ?? 0) === 0 &&
      (status?.observedGeneration ?? 0) >= (metadata.generation ?? 0) &&
      metadata.deletionTimestamp === undefined,
  );
  const surplus = older.length - historyMax;
  if (surplus <= 0) return [];
  return idle.sort((left, right) => revisionOfSet(left) - revisionOfSet(right)).slice(0, surplus);
}
