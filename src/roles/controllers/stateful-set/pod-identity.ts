/**
 * What makes a pod of a stateful set that one and no other: its number, its name, its
 * claims.
 */
import type {
  ClaimTemplate,
  PersistentVolumeClaim,
  Pod,
  PodSpec,
  PodTemplate,
  StatefulSet,
} from '#platform/api/mod.ts';

const podNameLabel = 'statefulset.kubernetes.io/pod-name';
const podIndexLabel = 'apps.kubernetes.io/pod-index';

export function podNameOf(set: StatefulSet, ordinal: number): string {
  return `${set.metadata.name}-${ordinal}`;
}

/** The number in the name; undefined where the name is none that the set gives. */
export function ordinalOf(setName: string, { metadata }: Pod): number | undefined {
  const { name } = metadata;
  if (!name.startsWith(`${setName}-`)) return undefined;
  const text = name.slice(setName.length + 1);
  return /^(?:0|[1-9][0-9]{0,8})$/u.test(text) ? Number(text) : undefined;
}

export function claimNameOf(set: StatefulSet, template: ClaimTemplate, ordinal: number): string {
  return `${template.metadata.name}-${podNameOf(set, ordinal)}`;
}

export function labelsOfPod(set: StatefulSet, ordinal: number): Record<string, string> {
  return { [podNameLabel]: podNameOf(set, ordinal), [podIndexLabel]: String(ordinal) };
}

/** The specification of the pod with that number. */
export function specOfPod(set: StatefulSet, template: PodTemplate, ordinal: number): PodSpec {
  const { serviceName = '', volumeClaimTemplates = [] } = set.spec;
  const own = volumeClaimTemplates.map((claim) => ({
    name: claim.metadata.name,
    persistentVolumeClaim: { claimName: claimNameOf(set, claim, ordinal) },
  }));
  const names = new Set(own.map(({ name }) => name));
  const others = (template.spec.volumes ?? []).filter(({ name }) => !names.has(name));
  const volumes = [...others, ...own];
  return {
    ...template.spec,
    hostname: podNameOf(set, ordinal),
    ...(serviceName === '' ? {} : { subdomain: serviceName }),
    ...(volumes.length === 0 ? {} : { volumes }),
  };
}

/** The claims of the pod with that number, without owners. */
export function claimsOfPod(set: StatefulSet, ordinal: number): readonly PersistentVolumeClaim[] {
  return (set.spec.volumeClaimTemplates ?? []).map((template) => {
    const { labels, annotations } = template.metadata;
    return {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: {
        name: claimNameOf(set, template, ordinal),
        namespace: set.metadata.namespace ?? '',
        labels: { ...labels, ...set.spec.selector.matchLabels },
        ...(annotations === undefined ? {} : { annotations }),
      },
      spec: template.spec,
    };
  });
}
