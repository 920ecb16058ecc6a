/**
 * Making and deleting the pods of a workload.
 *
 * Invariant: what was done counts from the answer on, whether or not the watch has
 * told of it: a pod that was made is in the shared copy, one whose deletion was
 * asked for is in `asked`.
 */
import { errorText } from '#base/mod.ts';
import {
  type ApiObject,
  type ObjectMeta,
  type Pod,
  type PodSpec,
  type PodTemplate,
  resources,
  StatusError,
} from '#platform/api/mod.ts';
import type { ControllerContext } from './context.ts';
import { controllerReference, isDeleting } from './ownership.ts';
import { randomSuffix } from './random-suffix.ts';

const nameAttemptsMax = 5;
/** So that a hyphen and five more fit into a name that is one label of a host name. */
const nameBaseLengthMax = 57;

/** What a pod has beyond its owner's template. */
export interface PodTraits {
  /** The whole name; it may be taken. Made up where absent. */
  readonly name?: string;
  /** The name before the random part; the owner's name where absent. */
  readonly nameBase?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly finalizers?: readonly string[];
  readonly spec?: PodSpec;
}

/** Makes one pod of the template; rejects with what the server said, of which an event tells. */
export async function createOwnedPod(
  { client, events, informers, random }: ControllerContext,
  owner: ApiObject,
  template: PodTemplate,
  traits: PodTraits = {},
): Promise<void> {
  const base = traits.nameBase ?? owner.metadata.name;
  for (let attempt = 1; ; attempt += 1) {
    const name = traits.name ?? `${base.slice(0, nameBaseLengthMax)}-${randomSuffix(random, 5)}`;
    try {
      const created = await client.create(
        resources.pods,
        podOf(owner, template, traits, name, base),
      );
      informers.pods.observe(created);
      events.record({
        regarding: owner,
        severity: 'Normal',
        reason: 'SuccessfulCreate',
        message: `Created pod: ${created.metadata.name}`,
      });
      return;
    } catch (error) {
      const taken = error instanceof StatusError && error.reason === 'AlreadyExists';
      if (taken && traits.name === undefined && attempt < nameAttemptsMax) continue;
      events.record({
        regarding: owner,
        severity: 'Warning',
        reason: 'FailedCreate',
        message: `Error creating: ${errorText(error)}`,
      });
      throw error;
    }
  }
}

function podOf(
  owner: ApiObject,
  { metadata = {}, spec }: PodTemplate,
  traits: PodTraits,
  name: string,
  base: string,
): ApiObject {
  const labels = { ...metadata.labels, ...traits.labels };
  const annotations = { ...metadata.annotations, ...traits.annotations };
  const meta: ObjectMeta = {
    name,
    ...(traits.name === undefined ? { generateName: `${base}-` } : {}),
    namespace: owner.metadata.namespace ?? '',
    ownerReferences: [controllerReference(owner)],
  };
  if (Object.keys(labels).length > 0) meta.labels = labels;
  if (Object.keys(annotations).length > 0) meta.annotations = annotations;
  if (traits.finalizers !== undefined) meta.finalizers = [...traits.finalizers];
  return { apiVersion: 'v1', kind: 'Pod', metadata: meta, spec: traits.spec ?? spec };
}

/** Asks for the deletion of one pod of `owner`; one that is gone already is no failure. */
export async function removeOwnedPod(
  { client, events }: ControllerContext,
  owner: ApiObject,
  pod: Pod,
  asked: Set<string>,
): Promise<void> {
  const { namespace = '', name, uid = '' } = pod.metadata;
  asked.add(uid);
  try {
    await client.delete(resources.pods, namespace, name, { uid, propagationPolicy: 'Background' });
  } catch (error) {
    // It is gone, or another pod has its name by now: either way this one went.
    if (error instanceof StatusError && ['NotFound', 'Conflict'].includes(error.reason)) return;
    asked.delete(uid);
    throw error;
  }
  events.record({
    regarding: owner,
    severity: 'Normal',
    reason: 'SuccessfulDelete',
    message: `Deleted pod: ${name}`,
  });
}

/** Forgets what was asked for and has happened: those that left, and those that are leaving. */
export function forgetDone(asked: Set<string>, pods: readonly Pod[]): void {
  const staying = new Set(
    pods.filter((pod) => !isDeleting(pod)).map((pod) => pod.metadata.uid ?? ''),
  );
  for (const uid of asked) if (!staying.has(uid)) asked.delete(uid);
}
