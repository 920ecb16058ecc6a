/**
 * What makes a pod of a stateful set that one and no other: its number, its name, its
 * claims.
 */
import type {
  ApiObject,
  ClaimTemplate,
  PersistentVolumeClaim,
  PodSpec,
  PodTemplate,
  StatefulSet,
} from '#platform/api/mod.ts';

const podNameLabel = 'statefulset.kubernetes.io/pod-name';
const podIndexLabel = 'apps.kubernetes.io/pod-index';

export function podNameOf(set: StatefulSet, ordinal: number): string {
  return `${set.metadata.name}-${ordinal}`;
}

/**
 * The number behind `base` in the name of a pod or claim; undefined where the name is
 * none that the set gives. `start` and `replicas` together have ten digits at most.
 */
export function ordinalOf(base: string, { metadata }: ApiObject): number | undefined {
  const { name } = metadata;
  if (!name.startsWith(`${base}-`)) return undefined;
  const text = name.slice(base.length + 1);
  return /^(?:0|[1-9][0-9]{0,9})$/u.test(text) ? Number(text) : undefined;
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
