/** The one list of admitters, in the order in which they are asked. */
import { certificateAdmitter } from '../access/certificate-admitter.ts';
import { escalationAdmitter } from '../access/escalation.ts';
import { podAccountAdmitter } from '../access/pod-account.ts';
import type { Admitter } from './types.ts';

export const builtInAdmitters: readonly Admitter[] = [
  escalationAdmitter,
  podAccountAdmitter,
  certificateAdmitter,
];
