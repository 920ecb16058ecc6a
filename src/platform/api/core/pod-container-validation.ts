/** What a schema cannot say about one container. */
import type { FieldError } from '../definition.ts';
import { fieldDuplicate, fieldForbidden, fieldInvalid, fieldRequired } from '../field-errors.ts';
import { compareQuantities, tryParseQuantity } from '../quantity.ts';
import { containerResources } from './pod-defaults.ts';
import { validateEnvironment, validateEnvironmentSources } from './pod-environment-validation.ts';
import { notSupportedYet, validateSecurity } from './pod-security.ts';
import { type Container, isSidecar, type LifecycleHandler, type Probe } from './pod-types.ts';
import { isCleanAbsolutePath, validateMounts } from './pod-volume-validation.ts';
import type { Volume } from './pod-volume-types.ts';

export function validateContainer(
  container: Container,
  volumes: readonly Volume[],
  field: string,
): FieldError[] {
  const errors: FieldError[] = [];
  if (container.image.trim() !== container.image) {
    errors.push(
      fieldInvalid(`${field}.image`, container.image, 'must not have whitespace around it'),
    );
  }
  const { workingDir } = container;
  if (workingDir !== undefined && workingDir !== '' && !isCleanAbsolutePath(workingDir)) {
    errors.push(
      fieldInvalid(
        `${field}.workingDir`,
        workingDir,
        'must be an absolute path without . and .. (such as /app/data)',
      ),
    );
  }
  if (container.tty === true) {
    const why = 'a workload has no terminal of its own (kubectl exec -it gives a command one)';
    errors.push(notSupportedYet(`${field}.tty`, why));
  }
  return [
    ...errors,
    ...validateResources(container, field),
    ...validateEnvironment(container.env ?? [], `${field}.env`),
    ...validateEnvironmentSources(container.envFrom ?? [], `${field}.envFrom`),
    ...validateMounts(container.volumeMounts ?? [], volumes, `${field}.volumeMounts`),
    ...validateSecurity(container.securityContext ?? {}, `${field}.securityContext`),
    ...validateProbes(container, field),
    ...validateLifecycle(container, field),
  ];
}

/** What containers that run before the others cannot have. */
export function validateInitContainer(container: Container, field: string): FieldError[] {
  if (isSidecar(container)) return [];
  return (['livenessProbe', 'readinessProbe', 'startupProbe', 'lifecycle'] as const).flatMap(
    (name) =>
      container[name] === undefined
        ? []
        : [
            fieldForbidden(
              `${field}.${name}`,
              'may not be set for init containers without restartPolicy=Always',
            ),
          ],
  );
}

function validateResources(container: Container, field: string): FieldError[] {
  const errors: FieldError[] = [];
  const { requests = {}, limits = {} } = container.resources ?? {};
  for (const name of containerResources) {
    for (const [kind, amounts] of Object.entries({ requests, limits })) {
      if (amounts[name]?.startsWith('-') !== true) continue;
      errors.push(
        fieldInvalid(
          `${field}.resources.${kind}[${name}]`,
          amounts[name],
          'must be greater than or equal to 0',
        ),
      );
    }
    const request = tryParseQuantity(requests[name] ?? '0');
    const limit = limits[name] === undefined ? undefined : tryParseQuantity(limits[name]);
    if (request === undefined || limit === undefined) continue;
    if (compareQuantities(request, limit) > 0) {
      errors.push({
        field: `${field}.resources.requests`,
        reason: 'FieldValueInvalid',
        message: `must be less than or equal to ${name} limit of ${limits[name]}`,
      });
    }
  }
  return errors;
}

const probeHandlers = ['exec', 'httpGet', 'tcpSocket', 'grpc'] as const;
const hookHandlers = ['exec', 'httpGet', 'sleep'] as const;

function validateProbes(container: Container, field: string): FieldError[] {
  return (['livenessProbe', 'readinessProbe', 'startupProbe'] as const).flatMap((name) => {
    const probe = container[name];
    return probe === undefined ? [] : validateProbe(container, probe, name, `${field}.${name}`);
  });
}

function validateProbe(
  container: Container,
  probe: Probe,
  name: 'livenessProbe' | 'readinessProbe' | 'startupProbe',
  field: string,
): FieldError[] {
  const given = probeHandlers.filter((handler) => probe[handler] !== undefined);
  const errors = exactlyOne(given, probeHandlers, field);
  if (name !== 'readinessProbe' && (probe.successThreshold ?? 1) !== 1) {
    errors.push(fieldInvalid(`${field}.successThreshold`, probe.successThreshold, 'must be 1'));
  }
  if (name === 'readinessProbe' && probe.terminationGracePeriodSeconds !== undefined) {
    errors.push(
      fieldForbidden(
        `${field}.terminationGracePeriodSeconds`,
        'a readiness probe ends no container',
      ),
    );
  }
  return [...errors, ...validateActions(container, probe, field)];
}

function validateLifecycle(container: Container, field: string): FieldError[] {
  return (['postStart', 'preStop'] as const).flatMap((name) => {
    const hook = container.lifecycle?.[name];
    if (hook === undefined) return [];
    const path = `${field}.lifecycle.${name}`;
    const given = hookHandlers.filter((handler) => hook[handler] !== undefined);
    return [...exactlyOne(given, hookHandlers, path), ...validateActions(container, hook, path)];
  });
}

function exactlyOne(
  given: readonly string[],
  choices: readonly string[],
  field: string,
): FieldError[] {
  if (given.length === 0) {
    return [fieldRequired(field, `must have one of ${choices.join(', ')}`)];
  }
  return given
    .slice(1)
    .map((name) => fieldForbidden(`${field}.${name}`, `${given[0]} is given already`));
}

function validateActions(
  container: Container,
  actions: Probe | LifecycleHandler,
  field: string,
): FieldError[] {
  const errors: FieldError[] = [];
  if (actions.exec !== undefined && (actions.exec.command ?? []).length === 0) {
    errors.push(fieldRequired(`${field}.exec.command`, 'must have at least one word'));
  }
  const tcpSocket = 'tcpSocket' in actions ? actions.tcpSocket : undefined;
  for (const [name, action] of [
    ['httpGet', actions.httpGet],
    ['tcpSocket', tcpSocket],
  ] as const) {
    if (typeof action?.port !== 'string') continue;
    const { port } = action;
    if ((container.ports ?? []).some((known) => known.name === port)) continue;
    errors.push(
      fieldInvalid(`${field}.${name}.port`, port, 'must be a number or the name of a port'),
    );
  }
  return errors;
}

/** Names of ports are words of the pod, whichever container has them. */
export function duplicatePortNames(
  containers: readonly (readonly [string, Container])[],
): FieldError[] {
  const seen = new Set<string>();
  return containers.flatMap(([path, { ports = [] }]) =>
    ports.flatMap(({ name }, position) => {
      if (name === undefined) return [];
      if (seen.has(name)) return [fieldDuplicate(`${path}.ports[${position}].name`, name)];
      seen.add(name);
      return [];
    }),
  );
}
