/** What a container may be told of its own pod: fields, and amounts of its containers. */
import { isJsonObject, type JsonObject } from '#base/mod.ts';
import {
  type Container,
  keyedField,
  milliUnitsOf,
  type PodSpec,
  type ResourceFieldReference,
  type ResourceList,
  tryParseQuantity,
} from '#platform/api/mod.ts';
import { AgentError } from '../errors.ts';

/** A pod as far as it may be told of itself. */
export interface PodFacts {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly metadata: JsonObject;
  readonly spec: PodSpec;
  readonly ip: string;
  readonly nodeName: string;
  readonly hostAddress: string;
  /** What the node has for pods; undefined while the hub has not said it. */
  readonly allocatable: ResourceList | undefined;
}

/** The field as text; labels and annotations as `key="value"` lines, sorted. */
export function fieldText(pod: PodFacts, fieldPath: string): string {
  const keyed = keyedField(fieldPath);
  if (keyed !== undefined) {
    const texts = textsIn(pod.metadata[keyed.field]);
    return Object.hasOwn(texts, keyed.key) ? (texts[keyed.key] ?? '') : '';
  }
  switch (fieldPath) {
    case 'metadata.name':
      return pod.name;
    case 'metadata.namespace':
      return pod.namespace;
    case 'metadata.uid':
      return pod.uid;
    case 'metadata.labels':
    case 'metadata.annotations':
      return linesOf(textsIn(pod.metadata[fieldPath.slice('metadata.'.length)]));
    case 'spec.nodeName':
      return pod.nodeName;
    case 'spec.serviceAccountName':
      return pod.spec.serviceAccountName ?? '';
    case 'status.podIP':
    case 'status.podIPs':
      return pod.ip;
    case 'status.hostIP':
    case 'status.hostIPs':
      return pod.hostAddress;
    default:
      throw new AgentError('CONTAINER_CONFIG', `a pod has no field ${fieldPath} to be told of`);
  }
}

/** An amount in units of the divisor, rounded up. `self` is meant where no container is named. */
export function resourceText(
  pod: PodFacts,
  { containerName, resource, divisor = '1' }: ResourceFieldReference,
  self?: Container,
): string {
  const all = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])];
  const container =
    containerName === undefined || containerName === ''
      ? self
      : all.find(({ name }) => name === containerName);
  if (container === undefined) {
    throw new AgentError('CONTAINER_CONFIG', `the pod has no container ${containerName ?? ''}`);
  }
  const [kind, name] = resource.split('.') as ['limits' | 'requests', keyof ResourceList];
  const given = container.resources?.[kind]?.[name];
  const amount = given ?? (kind === 'limits' ? ofTheNode(pod, name) : '0');
  const quantity = tryParseQuantity(amount);
  const unit = tryParseQuantity(divisor);
  if (quantity === undefined || unit === undefined) {
    throw new AgentError('CONTAINER_CONFIG', `${resource} of ${container.name} cannot be read`);
  }
  // A divisor of nothing means: as it is.
  const unitMilli = milliUnitsOf(unit) === 0 ? 1_000 : milliUnitsOf(unit);
  return String(Math.ceil(milliUnitsOf(quantity) / unitMilli));
}

function ofTheNode(pod: PodFacts, name: keyof ResourceList): string {
  const { allocatable } = pod;
  if (allocatable !== undefined) return allocatable[name] ?? '0';
  throw new AgentError('CONTAINER_CONFIG', 'what the node has for pods is not known yet');
}

function linesOf(texts: Readonly<Record<string, string>>): string {
  return Object.keys(texts)
    .toSorted()
    .map((key) => `${key}=${JSON.stringify(texts[key])}`)
    .join('\n');
}

function textsIn(value: unknown): Readonly<Record<string, string>> {
  return isJsonObject(value) ? (value as Record<string, string>) : {};
}
