/** What the hub wants of this node, as the replica has it. */
import { isJsonObject, textOf, type JsonObject } from '#base/mod.ts';
import {
  podGraceSecondsOf,
  type PodReport,
  type PodSpec,
  type PodVerdict,
  stopAfterMsOf,
} from '#platform/api/mod.ts';
import { containersOf, type PodContainer, type RestartPolicy } from './pod-plan.ts';
import type { Facet, ObjectKey, StoredObject } from '#platform/store/mod.ts';

export interface DesiredPod {
  readonly key: ObjectKey;
  readonly uid: string;
  /** As people wrote them: names, labels, annotations; and all that the pod asks for. */
  readonly metadata: JsonObject;
  readonly spec: PodSpec;
  /** Init containers first. */
  readonly containers: readonly PodContainer[];
  readonly restartPolicy: RestartPolicy;
  /** How long the containers may take to end when they are asked to. */
  readonly graceMs: number;
  /** Its object is being deleted: it must end, and say so. */
  readonly isDeleting: boolean;
  /** From image reference to the digest of its index. */
  readonly images: Readonly<Record<string, string>>;
  /** Why the hub cannot say what its images are; undefined where it has not said so. */
  readonly imagesUnknownWhy: string | undefined;
  /** The same of images that it asks for since it was placed, by reference. */
  readonly imagesUnknown: Readonly<Record<string, string>>;
  /** The hub has given the pod up with this node, and waits to hear what became of it. */
  readonly lossId: string | undefined;
  /** Without the hub for so long, the pod stops; undefined where it goes on. */
  readonly stopAfterMs: number | undefined;
  /** What the owner has of this node's report. */
  readonly report: PodReport | undefined;
  /** The incarnation of the owner that says all this; empty while there is none. */
  readonly incarnation: string;
}

export const graceMsDefault = podGraceSecondsOf(undefined) * 1000;

/** Undefined where the object is not a pod that `nodeName` is to run, or cannot be read. */
export function desiredPodOf(
  object: StoredObject,
  nodeName: string,
  incarnation: string,
): DesiredPod | undefined {
  const intent = facetOf(object, 'intent');
  const assignment = facetOf(object, 'assignment');
  const metadata = intent?.['metadata'];
  const spec = intent?.['spec'] as unknown as PodSpec | undefined;
  if (assignment?.['nodeName'] !== nodeName || !isJsonObject(metadata)) return undefined;
  if (!isJsonObject(spec) || !Array.isArray(spec.containers)) return undefined;
  const isDeleting = typeof metadata['deletionTimestamp'] === 'string';
  const asked = isDeleting
    ? metadata['deletionGracePeriodSeconds']
    : spec.terminationGracePeriodSeconds;
  const images = assignment['images'];
  const { annotations } = metadata;
  const verdict = facetOf(object, 'verdict') as PodVerdict | undefined;
  const scheduled = verdict?.conditions?.find(({ type }) => type === 'PodScheduled');
  return {
    key: object.key,
    uid: object.uid,
    metadata,
    spec,
    containers: containersOf(spec),
    restartPolicy: spec.restartPolicy ?? 'Always',
    graceMs: podGraceSecondsOf(asked) * 1000,
    isDeleting,
    images: isJsonObject(images) ? (images as Record<string, string>) : {},
    imagesUnknown: verdict?.imagesUnknown ?? {},
    imagesUnknownWhy: scheduled?.status === 'False' ? scheduled.message : undefined,
    lossId: verdict?.lost?.id,
    stopAfterMs: stopAfterMsOf(isJsonObject(annotations) ? annotations : undefined),
    report: facetOf(object, 'report') as unknown as PodReport | undefined,
    incarnation,
  };
}

/** The parsed facet, or undefined where there is none or none that is an object. */
export function facetOf(object: StoredObject, facet: Facet): JsonObject | undefined {
  const bytes = object.facets[facet]?.bytes;
  if (bytes === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(textOf(bytes));
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
