/** The environment and the command of a container: the image's, the pod's, and what the node adds. */
import { strictTextOf } from '#base/mod.ts';
import {
  type Container,
  type EnvironmentSource,
  type EnvironmentVariable,
  isVariableName,
  type KeyReference,
} from '#platform/api/mod.ts';
import type { UnpackedImage } from '../images/image-cache.ts';
import { AgentError } from '../errors.ts';
import type { ConfigKind, ConfigObjects } from './config-objects.ts';
import { fieldText, resourceText, type PodFacts } from './pod-fields.ts';

/** The kernel takes no longer one, with its name. */
const variableBytesMax = 128 * 1024 - 1;

export interface Environment {
  readonly variables: Readonly<Record<string, string>>;
  /** Keys that cannot be names of variables, by the object that has them: left out. */
  readonly skipped: readonly string[];
}

/**
 * `api`: where the API is, for a pod that has a token of it. Later ones win: the node's, the image's, whole objects, the pod's own variables.
 * Throws CONTAINER_CONFIG where an object or a key is missing that is not optional.
 */
export function environmentOf(
  container: Container,
  image: Pick<UnpackedImage, 'environment'>,
  pod: PodFacts,
  objects: ConfigObjects,
  api?: { readonly host: string; readonly port: number },
): Environment {
  const variables: Record<string, string> = {
    HOSTNAME: pod.spec.hostname ?? pod.name.slice(0, 63),
    POD_IP: pod.ip,
    POD_NAME: pod.name,
    POD_NAMESPACE: pod.namespace,
    NODE_NAME: pod.nodeName,
    HOST: pod.ip,
    HOME: '/tmp',
    PATH: '/runtime',
    ...(api === undefined
      ? {}
      : { KUBERNETES_SERVICE_HOST: api.host, KUBERNETES_SERVICE_PORT: String(api.port) }),
    ...image.environment,
  };
  const skipped: string[] = [];
  for (const source of container.envFrom ?? []) {
    addAll(variables, skipped, source, pod.namespace, objects);
  }
  for (const variable of container.env ?? []) {
    const value = valueOf(variable, variables, container, pod, objects);
    if (value !== undefined) variables[variable.name] = value;
  }
  for (const [name, value] of Object.entries(variables)) requireFits(name, value);
  return { variables, skipped };
}

function addAll(
  variables: Record<string, string>,
  skipped: string[],
  source: EnvironmentSource,
  namespace: string,
  objects: ConfigObjects,
): void {
  const kind: ConfigKind = source.secretRef === undefined ? 'configmap' : 'secret';
  const { name = '', optional } = source.secretRef ?? source.configMapRef ?? {};
  const data = objects.dataOf(kind, namespace, name);
  if (data === undefined) {
    if (optional === true) return;
    throw missing(`${kind} "${name}" not found`);
  }
  const invalid: string[] = [];
  for (const [key, bytes] of data) {
    const variable = `${source.prefix ?? ''}${key}`;
    if (isVariableName(variable))
      variables[variable] = textOfValue(bytes, `${kind} "${name}"`, key);
    else invalid.push(key);
  }
  if (invalid.length > 0) {
    skipped.push(`Keys [${invalid.join(', ')}] from the EnvFrom ${kind} ${namespace}/${name}`);
  }
}

function valueOf(
  { name, value, valueFrom }: EnvironmentVariable,
  before: Readonly<Record<string, string>>,
  container: Container,
  pod: PodFacts,
  objects: ConfigObjects,
): string | undefined {
  if (!isVariableName(name)) {
    throw new AgentError('RUNTIME_BAD_COMMAND', `${name} is no name of an environment variable`);
  }
  if (valueFrom === undefined) return expand(value ?? '', before);
  const { configMapKeyRef, secretKeyRef, fieldRef, resourceFieldRef } = valueFrom;
  if (fieldRef !== undefined) return fieldText(pod, fieldRef.fieldPath);
  if (resourceFieldRef !== undefined) return resourceText(pod, resourceFieldRef, container);
  if (configMapKeyRef !== undefined) {
    return keyValue('configmap', configMapKeyRef, pod.namespace, objects);
  }
  if (secretKeyRef !== undefined) return keyValue('secret', secretKeyRef, pod.namespace, objects);
  return '';
}

/** Undefined where it is missing and optional. */
function keyValue(
  kind: ConfigKind,
  { name = '', key, optional }: KeyReference,
  namespace: string,
  objects: ConfigObjects,
): string | undefined {
  const data = objects.dataOf(kind, namespace, name);
  const bytes = data?.get(key);
  if (bytes !== undefined) return textOfValue(bytes, `${kind} "${name}"`, key);
  if (optional === true) return undefined;
  if (data === undefined) throw missing(`${kind} "${name}" not found`);
  const kindName = kind === 'secret' ? 'Secret' : 'ConfigMap';
  throw missing(`couldn't find key ${key} in ${kindName} ${namespace}/${name}`);
}

function textOfValue(bytes: Uint8Array, object: string, key: string): string {
  try {
    return strictTextOf(bytes);
  } catch {
    throw missing(`key ${key} of ${object} is not text: mount it as a file`);
  }
}

function requireFits(name: string, value: string): void {
  if (value.includes('\0')) throw missing(`variable ${name} holds a NUL: mount it as a file`);
  // A character has at most three bytes for each of its units.
  if ((name.length + value.length + 1) * 3 <= variableBytesMax) return;
  const sizeBytes = new TextEncoder().encode(`${name}=${value}`).length;
  if (sizeBytes <= variableBytesMax) return;
  throw missing(
    `variable ${name} has ${sizeBytes} bytes with its name, above the limit of ${variableBytesMax}: mount it as a file`,
  );
}

function missing(message: string): AgentError {
  return new AgentError('CONTAINER_CONFIG', message);
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
