/**
 * The schema of security contexts, and the rules for them. A workload always runs
 * as a user of its own, without capabilities and never gaining any, in a root that
 * it cannot write: what says so is accepted, what asks for more is refused. Numbers of
 * users and groups other than root are what charts ask isolation with: they are accepted
 * with a warning, since the pod has that with another number.
 */
import type { FieldError } from '../definition.ts';
import { atomicList, flag, integer, oneOf, record, text } from '../meta/build.ts';
import type { Schema } from '../schema.ts';
import type { ContainerSecurityContext, PodSpec } from './pod-types.ts';

const capabilitiesMax = 64;

const runAsNonRoot = flag('No workload runs as root, whatever is said here.');
const groupsMax = 32;
const identifierMax = 2 ** 31 - 1;
const ownUser = 'Not taken, with a warning: every pod has a user and a group of its own.';
const identifier = (minimum: number): Schema =>
  integer(ownUser, { minimum, maximum: identifierMax, format: 'int64' });
const fieldsOfBoth = {
  runAsNonRoot,
  // Root itself is refused by a rule, which can say why.
  runAsUser: identifier(0),
  runAsGroup: identifier(0),
  seccompProfile: record(
    'How calls to the kernel are confined.',
    {
      type: oneOf('RuntimeDefault: as the node confines every workload.', ['RuntimeDefault']),
    },
    ['type'],
  ),
};
const notYet = ['seLinuxOptions', 'appArmorProfile'];

export const podSecuritySchema: Schema = {
  ...record('What the workloads of the pod may do.', {
    ...fieldsOfBoth,
    fsGroup: identifier(0),
    fsGroupChangePolicy: oneOf(
      'Accepted for clients that send it: volumes that a pod may write are owned by its user.',
      ['Always', 'OnRootMismatch'],
    ),
    supplementalGroups: atomicList(ownUser, identifier(0), { maxItems: groupsMax }),
  }),
  notYet: [
    ...notYet,
    'supplementalGroupsPolicy',
    'sysctls',
    'seLinuxChangePolicy',
    'windowsOptions',
  ],
};

export const containerSecuritySchema: Schema = {
  ...record('What the workload may do.', {
    ...fieldsOfBoth,
    allowPrivilegeEscalation: flag('Only false, which is what every workload has anyway.'),
    privileged: flag('Only false.'),
    readOnlyRootFilesystem: flag(
      'The root is read-only for every workload, whatever is said here; it may write to /tmp and to its volumes.',
    ),
    capabilities: record('Capabilities of the kernel. No workload has any.', {
      add: atomicList('Has to be empty.', text('One capability.'), { maxItems: capabilitiesMax }),
      drop: atomicList('Accepted: all are dropped.', text('One capability.'), {
        maxItems: capabilitiesMax,
      }),
    }),
    procMount: oneOf('How /proc is shown.', ['Default']),
  }),
  notYet: [...notYet, 'windowsOptions'],
};

/** A wish that is a word of the API and that no node honours. */
export function notSupportedYet(field: string, why: string): FieldError {
  return {
    field,
    reason: 'FieldValueNotSupported',
    message: `is not supported yet: ${why}`,
  };
}

export function validateSecurity(context: ContainerSecurityContext, field: string): FieldError[] {
  const errors = validateUser(context, field);
  for (const name of ['allowPrivilegeEscalation', 'privileged'] as const) {
    if (context[name] !== true) continue;
    errors.push(notSupportedYet(`${field}.${name}`, 'a workload never gains privileges'));
  }
  if ((context.capabilities?.add ?? []).length > 0) {
    errors.push(
      notSupportedYet(`${field}.capabilities.add`, 'every workload runs without capabilities'),
    );
  }
  return errors;
}

/** What containers and pods have in common: nothing runs as root, in no group of root. */
export function validateUser(
  context: { runAsUser?: number; runAsGroup?: number },
  field: string,
): FieldError[] {
  return (['runAsUser', 'runAsGroup'] as const)
    .filter((name) => context[name] === 0)
    .map((name) => notSupportedYet(`${field}.${name}`, 'no workload runs as root: leave it out'));
}

const notTaken = ['runAsUser', 'runAsGroup', 'fsGroup', 'supplementalGroups'] as const;

/**
 * One sentence where a pod asks for numbers that it does not get.
 * @param field path of the pod's spec.
 */
export function podSecurityWarnings(spec: PodSpec, field: string): readonly string[] {
  const asked = new Set<string>();
  const contexts = [spec, ...spec.containers, ...(spec.initContainers ?? [])];
  for (const { securityContext } of contexts) {
    if (securityContext === undefined) continue;
    for (const name of notTaken) if (name in securityContext) asked.add(name);
  }
  if (asked.size === 0) return [];
  return [
    `${field}: ${[...asked].join(', ')} not taken: every pod runs as a user and group of its own, which own what it may write`,
  ];
}
