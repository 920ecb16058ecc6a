/**
 * The schema of security contexts, and the rules for them. A workload always runs
 * as a user of its own, without capabilities and never gaining any, in a root that
 * it cannot write: what says so is accepted, what asks for more is refused.
 */
import type { FieldError } from '../definition.ts';
import { atomicList, flag, oneOf, record, text } from '../meta/build.ts';
import type { Schema } from '../schema.ts';
import type { ContainerSecurityContext } from './pod-types.ts';

const capabilitiesMax = 64;

const runAsNonRoot = flag('No workload runs as root, whatever is said here.');
// A node gives each pod a user of its own, and has no filter of system calls: to take these
// would be to promise what nobody keeps.
const notYet = ['runAsUser', 'runAsGroup', 'seLinuxOptions', 'seccompProfile', 'appArmorProfile'];

export const podSecuritySchema: Schema = {
  ...record('What the workloads of the pod may do.', { runAsNonRoot }),
  notYet: [
    ...notYet,
    'fsGroup',
    'fsGroupChangePolicy',
    'supplementalGroups',
    'supplementalGroupsPolicy',
    'sysctls',
    'seLinuxChangePolicy',
    'windowsOptions',
  ],
};

export const containerSecuritySchema: Schema = {
  ...record('What the workload may do.', {
    runAsNonRoot,
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
  const errors: FieldError[] = [];
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
