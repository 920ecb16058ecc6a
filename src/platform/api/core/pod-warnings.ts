/** What is accepted in a pod and not acted on yet, said to whoever writes it. */
import type { PodSpec } from './pod-types.ts';

/** `path` is where the specification stands in its object. */
export function podSpecWarnings(spec: PodSpec, path: string): readonly string[] {
  return (spec.containers ?? []).flatMap((container, index) =>
    container.resources?.limits === undefined
      ? []
      : [
          `${path}.containers[${index}].resources.limits: counted when the pod is placed, not enforced on the node by the script runtime`,
        ],
  );
}
