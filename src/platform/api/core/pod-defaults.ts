/** Defaults of a pod's specification that depend on other fields. Shared by pods and templates. */
import type {
  Container,
  EnvironmentVariable,
  PodSpec,
  ResourceFieldReference,
  ResourceName,
} from './pod-types.ts';
import { podGraceSecondsDefault } from './pod-grace.ts';
import { type DownwardFile, type Volume, volumeSources } from './pod-volume-types.ts';

/** Fills in what was left open. In place and idempotent. */
export function applyPodSpecDefaults(spec: PodSpec): void {
  spec.restartPolicy ??= 'Always';
  spec.terminationGracePeriodSeconds ??= podGraceSecondsDefault;
  spec.schedulerName ??= 'default-scheduler';
  spec.dnsPolicy ??= 'ClusterFirst';
  // Empty means "nothing given" to clients that cannot leave a field out.
  if (spec.nodeName === '') delete spec.nodeName;
  const older = spec as { serviceAccount?: string };
  // Kept under its newer name alone, which says the same.
  if (older.serviceAccount) spec.serviceAccountName ??= older.serviceAccount;
  delete older.serviceAccount;
  if (spec.overhead !== undefined) writeAsText(spec.overhead);
  for (const container of spec.containers) applyContainerDefaults(container);
  for (const container of spec.initContainers ?? []) applyContainerDefaults(container);
  for (const volume of spec.volumes ?? []) applyVolumeDefaults(volume);
}

function applyContainerDefaults(container: Container): void {
  container.imagePullPolicy ??= hasMovingTag(container.image) ? 'Always' : 'IfNotPresent';
  container.resources ??= {};
  for (const port of container.ports ?? []) port.protocol ??= 'TCP';
  for (const variable of container.env ?? []) writeDivisorAsText(variable);
  for (const amounts of [container.resources.requests, container.resources.limits]) {
    if (amounts !== undefined) writeAsText(amounts);
  }
  const { limits } = container.resources;
  if (limits === undefined) return;
  // Whoever states a limit alone means to have that much.
  const requests = (container.resources.requests ??= {});
  for (const name of containerResources) {
    if (limits[name] !== undefined) requests[name] ??= limits[name];
  }
}

function applyVolumeDefaults(volume: Volume): void {
  if (volumeSources.every((source) => volume[source] === undefined)) volume.emptyDir = {};
  const { emptyDir, downwardAPI, projected } = volume;
  if (emptyDir?.sizeLimit !== undefined) emptyDir.sizeLimit = String(emptyDir.sizeLimit);
  const files: DownwardFile[] = [
    ...(downwardAPI?.items ?? []),
    ...(projected?.sources ?? []).flatMap((source) => source.downwardAPI?.items ?? []),
  ];
  for (const { resourceFieldRef } of files) textDivisor(resourceFieldRef);
}

function writeDivisorAsText({ valueFrom }: EnvironmentVariable): void {
  textDivisor(valueFrom?.resourceFieldRef);
}

function textDivisor(reference: ResourceFieldReference | undefined): void {
  if (reference?.divisor !== undefined) reference.divisor = String(reference.divisor);
}

/** All that a container can ask for. */
export const containerResources = ['cpu', 'memory', 'ephemeral-storage'] as const;

/** Quantities may be given as plain numbers; they are served as text. */
function writeAsText(amounts: Partial<Record<ResourceName, string | number>>): void {
  for (const name of containerResources) {
    if (amounts[name] !== undefined) amounts[name] = String(amounts[name]);
  }
}

/** True for `name`, `name:latest`, `host:5000/name`; false for another tag or a digest. */
function hasMovingTag(image: string): boolean {
  if (image.includes('@')) return false;
  const lastPart = image.slice(image.lastIndexOf('/') + 1);
  const colon = lastPart.indexOf(':');
  return colon === -1 || lastPart.slice(colon + 1) === 'latest';
}
