/** Which container of a pod a request is about. */
import { type Pod, StatusError } from '#platform/api/mod.ts';

/** The container that was asked for, or the only one, or the one the pod calls its default. */
export function containerOf(pod: Pod, asked: string): string {
  const names = pod.spec.containers.map((container) => container.name);
  const all = [...names, ...(pod.spec.initContainers ?? []).map(({ name }) => name)];
  const fallback = pod.metadata.annotations?.['kubectl.kubernetes.io/default-container'];
  if (asked === '') {
    if (fallback !== undefined && names.includes(fallback)) return fallback;
    const [only] = names;
    if (only !== undefined && all.length === 1) return only;
    throw new StatusError(
      'BadRequest',
      `a container name must be specified for pod ${pod.metadata.name}, choose one of: [${names.join(' ')}]${initText(pod)}`,
    );
  }
  if (all.includes(asked)) return asked;
  throw new StatusError(
    'BadRequest',
    `container ${asked} is not valid for pod ${pod.metadata.name}; choose one of: [${names.join(' ')}]${initText(pod)}`,
  );
}

function initText({ spec }: Pod): string {
  const names = (spec.initContainers ?? []).map(({ name }) => name);
  return names.length === 0 ? '' : ` or one of the init containers: [${names.join(' ')}]`;
}
