/** The one list of admitters, in the order in which they are asked. */
import { certificateAdmitter } from '../access/certificate-admitter.ts';
import { escalationAdmitter } from '../access/escalation.ts';
import { podAccountAdmitter } from '../access/pod-account.ts';
import { disruptionBudgets } from './disruption-budgets.ts';
import { keptNamespaces } from './kept-namespaces.ts';
import { limitRanges } from './limit-ranges.ts';
import { podsOutOfReach } from './pods-out-of-reach.ts';
import { onlyDefaultPriority, podPriority } from './priorities.ts';
import { quotaStatus, resourceQuotas } from './quotas.ts';
import { podRuntime } from './runtime-classes.ts';
import type { Admitter } from './types.ts';

/** Those that give come before those that count what was given. */
export const builtInAdmitters: readonly Admitter[] = [
  escalationAdmitter,
  podAccountAdmitter,
  certificateAdmitter,
  podPriority,
  onlyDefaultPriority,
  podRuntime,
  limitRanges,
  disruptionBudgets,
  quotaStatus,
  resourceQuotas,
  keptNamespaces,
  podsOutOfReach,
];
