/** What the RuntimeClass of a pod adds to it: where such a runtime is, and what it takes. */
import { ownOf } from '#base/mod.ts';
import {
  equalJson,
  type Pod,
  type PodSpec,
  resourceName,
  resources,
  type RuntimeClass,
} from '#platform/api/mod.ts';
import { isPod } from '../departure.ts';
import { forbiddenError } from './forbidden.ts';
import type { AdmissionRequest, Admitter } from './types.ts';

const runtimeClasses = resourceName(resources.runtimeClasses);

export const podRuntime: Admitter = {
  name: 'RuntimeClass',
  concerns: isPod,
  operations: ['create'],
  shape(object, request, { get }) {
    const { spec } = object as Pod;
    const { runtimeClassName, overhead } = spec;
    if (runtimeClassName === undefined || runtimeClassName === '') {
      if (overhead === undefined) return undefined;
      throw rejected(
        request,
        'Pod Overhead set without corresponding RuntimeClass defined Overhead',
      );
    }
    const found = get(runtimeClasses, '', runtimeClassName) as RuntimeClass | undefined;
    if (found === undefined)
      throw rejected(request, `RuntimeClass "${runtimeClassName}" not found`);
    addOverhead(spec, found, request);
    addScheduling(spec, found, request);
    return { isChanged: true };
  },
};

function addOverhead(spec: PodSpec, { overhead }: RuntimeClass, request: AdmissionRequest): void {
  const fixed = overhead?.podFixed;
  if (spec.overhead !== undefined && !equalJson(spec.overhead, fixed)) {
    const why = "Pod's Overhead doesn't match RuntimeClass's defined Overhead";
    throw rejected(request, why);
  }
  if (fixed !== undefined) spec.overhead = { ...fixed };
}

function addScheduling(
  spec: PodSpec,
  { metadata, scheduling = {} }: RuntimeClass,
  request: AdmissionRequest,
): void {
  const { nodeSelector, tolerations } = scheduling;
  for (const [key, value] of Object.entries(nodeSelector ?? {})) {
    const own = ownOf(spec.nodeSelector, key);
    if (own === undefined || own === value) continue;
    const why = `conflict: nodeSelector of the pod wants ${key}=${own}, that of RuntimeClass "${metadata.name}" ${key}=${value}`;
    throw rejected(request, why);
  }
  if (nodeSelector !== undefined) spec.nodeSelector = { ...spec.nodeSelector, ...nodeSelector };
  const present = spec.tolerations ?? [];
  const added = (tolerations ?? []).filter(
    (toleration) => !present.some((own) => equalJson(own, toleration)),
  );
  if (added.length > 0) spec.tolerations = [...present, ...added];
}

function rejected({ definition, name }: AdmissionRequest, why: string): Error {
  return forbiddenError(definition, name, `pod rejected: ${why}`);
}
