/** What a schema cannot say about a pod's specification. */
import type { FieldError } from '../definition.ts';
import { equalJson } from '../field-errors.ts';
import { duplicates } from '../meta/rules.ts';
import { validateAffinity } from './pod-affinity.ts';
import {
  duplicatePortNames,
  validateContainer,
  validateInitContainer,
} from './pod-container-validation.ts';
import { notSupportedYet, validateUser } from './pod-security.ts';
import { validateToleration } from './pod-tolerations.ts';
import { validateTopologySpread } from './pod-topology-spread.ts';
import { validateVolumes } from './pod-volume-validation.ts';
import type { Container, PodSpec } from './pod-types.ts';

/** Rules for a specification as it stands. `field` is its path: `spec` or `spec.template.spec`. */
export function validatePodSpec(spec: PodSpec, field: string): FieldError[] {
  const volumes = spec.volumes ?? [];
  const placed = placedContainers(spec, field);
  const names = placed.map(([, container]) => container.name);
  const errors = [
    ...duplicates(names, (position) => `${placed[position]?.[0]}.name`),
    ...duplicatePortNames(placed),
    ...validateVolumes(volumes, names, `${field}.volumes`),
    ...validateHostAccess(spec, field),
    ...validateUser(spec.securityContext ?? {}, `${field}.securityContext`),
  ];
  for (const [path, container] of placed) {
    errors.push(...validateContainer(container, volumes, path));
  }
  for (const [position, container] of (spec.initContainers ?? []).entries()) {
    errors.push(...validateInitContainer(container, `${field}.initContainers[${position}]`));
  }
  for (const [position, toleration] of (spec.tolerations ?? []).entries()) {
    errors.push(...validateToleration(toleration, `${field}.tolerations[${position}]`));
  }
  return [
    ...errors,
    ...validateAffinity(spec.affinity, `${field}.affinity`),
    ...validateTopologySpread(spec.topologySpreadConstraints, `${field}.topologySpreadConstraints`),
  ];
}

/** Every container with the path of its place. */
function placedContainers(spec: PodSpec, field: string): [string, Container][] {
  return (['containers', 'initContainers'] as const).flatMap((list) =>
    (spec[list] ?? []).map((container, position): [string, Container] => [
      `${field}.${list}[${position}]`,
      container,
    ]),
  );
}

/** What would let a pod see more of its node than its own part. */
function validateHostAccess(spec: PodSpec, field: string): FieldError[] {
  const wishes = {
    hostNetwork: 'a pod has an address of its own',
    hostPID: 'a container sees its own processes alone',
    hostIPC: 'a container sees its own processes alone',
    shareProcessNamespace: 'each container sees its own processes alone',
  } as const;
  return (Object.keys(wishes) as (keyof typeof wishes)[]).flatMap((name) =>
    spec[name] === true ? [notSupportedYet(`${field}.${name}`, wishes[name])] : [],
  );
}

/**
 * What may change after creation: images, added tolerations, a shorter deadline,
 * and the node of a pod never. Everything else a node has already acted on.
 */
export function validatePodSpecChange(before: PodSpec, after: PodSpec): FieldError[] {
  const earlier = before.tolerations ?? [];
  const added = (after.tolerations ?? []).filter(
    (toleration) => !earlier.some((old) => equalJson(old, toleration)),
  );
  const kept = (after.tolerations ?? []).length - added.length;
  const isShorter =
    after.activeDeadlineSeconds === before.activeDeadlineSeconds ||
    (after.activeDeadlineSeconds ?? Infinity) < (before.activeDeadlineSeconds ?? Infinity);
  const same = equalJson(comparable(before, before), comparable(after, before));
  if (kept >= earlier.length && isShorter && same) return [];
  return [
    {
      field: 'spec',
      reason: 'FieldValueForbidden',
      message:
        'pod updates may not change fields other than `spec.containers[*].image`, `spec.initContainers[*].image`, `spec.activeDeadlineSeconds` (only to less) and `spec.tolerations` (only additions to existing tolerations)',
    },
  ];
}

/** Without what may change, images being those of `before`. */
function comparable(spec: PodSpec, before: PodSpec): PodSpec {
  const { tolerations: _tolerations, activeDeadlineSeconds: _deadline, ...rest } = spec;
  const withImagesOf = (own: Container[], old: Container[] = []): Container[] =>
    own.map((container, position) => {
      const image = old[position]?.image;
      return image === undefined ? container : { ...container, image };
    });
  return {
    ...rest,
    containers: withImagesOf(spec.containers, before.containers),
    ...(spec.initContainers === undefined
      ? {}
      : { initContainers: withImagesOf(spec.initContainers, before.initContainers) }),
  };
}
