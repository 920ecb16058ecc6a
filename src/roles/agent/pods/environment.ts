/** The environment and the command of a container: the image's, the pod's, and what the node adds. */
import type { Container } from '#platform/api/mod.ts';
import type { UnpackedImage } from '../images/image-cache.ts';
import { AgentError } from '../errors.ts';

export interface PodIdentity {
  readonly namespace: string;
  readonly name: string;
  readonly ip: string;
  readonly nodeName: string;
}

/** Later ones win: the node's, the image's, the pod's. Throws RUNTIME_BAD_COMMAND for a name that no program could read. */
export function environmentOf(
  container: Container,
  image: UnpackedImage,
  pod: PodIdentity,
): Record<string, string> {
  const environment: Record<string, string> = {
    POD_IP: pod.ip,
    POD_NAME: pod.name,
    POD_NAMESPACE: pod.namespace,
    NODE_NAME: pod.nodeName,
    HOST: pod.ip,
    HOME: '/tmp',
    PATH: '/runtime',
    ...image.environment,
  };
  for (const { name, value } of container.env ?? []) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      throw new AgentError('RUNTIME_BAD_COMMAND', `${name} is no name of an environment variable`);
    }
    environment[name] = expand(value ?? '', environment);
  }
  return environment;
}

/** The pod's command replaces the image's entry point and arguments, its args the arguments alone. */
export function commandOf(
  container: Container,
  image: UnpackedImage,
  environment: Readonly<Record<string, string>>,
): readonly string[] {
  const own = container.command ?? [];
  const words =
    own.length > 0
      ? [...own, ...(container.args ?? [])]
      : [...image.entrypoint, ...(container.args ?? image.arguments)];
  return words.map((word) => expand(word, environment));
}

/** `$(NAME)` becomes the variable's value where there is one; `$$(NAME)` stays `$(NAME)`. */
function expand(text: string, environment: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\$(\$|\(([A-Za-z_][A-Za-z0-9_]*)\))/g, (whole, tail: string, name) => {
    if (tail === '$') return '$';
    return Object.hasOwn(environment, name as string) ? (environment[name as string] ?? '') : whole;
  });
}
