/** Defaults of a pod's specification that depend on other fields. Shared by pods and templates. */
import type { Container, PodSpec } from './pod-types.ts';

/** Fills in what was left open. In place and idempotent. */
export function applyPodSpecDefaults(spec: PodSpec): void {
  spec.restartPolicy ??= 'Always';
  spec.terminationGracePeriodSeconds ??= 30;
  spec.schedulerName ??= 'default-scheduler';
  spec.dnsPolicy ??= 'ClusterFirst';
  // Empty means "nothing given" to clients that cannot leave a field out.
  if (spec.nodeName === '') delete spec.nodeName;
  for (const container of spec.containers) applyContainerDefaults(container);
}

function applyContainerDefaults(container: Container): void {
  container.imagePullPolicy ??= hasMovingTag(container.image) ? 'Always' : 'IfNotPresent';
  container.resources ??= {};
  for (const port of container.ports ?? []) port.protocol ??= 'TCP';
  for (const amounts of [container.resources.requests, container.resources.limits]) {
    if (amounts !== undefined) writeAsText(amounts);
  }
  const { limits } = container.resources;
  if (limits === undefined) return;
  // Whoever states a limit alone means to have that much.
  const requests = (container.resources.requests ??= {});
  if (limits.cpu !== undefined) requests.cpu ??= limits.cpu;
  if (limits.memory !== undefined) requests.memory ??= limits.memory;
}

/** Quantities may be given as plain numbers; they are served as text. */
function writeAsText(amounts: { cpu?: string | number; memory?: string | number }): void {
  if (amounts.cpu !== undefined) amounts.cpu = String(amounts.cpu);
  if (amounts.memory !== undefined) amounts.memory = String(amounts.memory);
}

/** True for `name`, `name:latest`, `host:5000/name`; false for another tag or a digest. */
function hasMovingTag(image: string): boolean {
  if (image.includes('@')) return false;
  const lastPart = image.slice(image.lastIndexOf('/') + 1);
  const colon = lastPart.indexOf(':');
  return colon === -1 || lastPart.slice(colon + 1) === 'latest';
}
