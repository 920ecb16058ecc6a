/**
 * Tells who deletes a pod that its node is out of reach: the pod stays until the node has
 * answered, whatever the grace, since nobody knows whether it still runs.
 */
import type { Pod } from '#platform/api/mod.ts';
import { isPod } from '../departure.ts';
import { isOutOfReach } from '../node-reach.ts';
import type { Admitter } from './types.ts';

export const podsOutOfReach: Admitter = {
  name: 'PodsOutOfReach',
  concerns: isPod,
  operations: ['delete'],
  check({ previous }, { get }) {
    const nodeName = (previous as Pod).spec.nodeName ?? '';
    if (nodeName === '') return undefined;
    if (!isOutOfReach(get('nodes', '', nodeName))) return undefined;
    const warning = `node ${nodeName} is out of reach: the pod goes when it is back, or with 'kubectl delete node ${nodeName}' where it never will be`;
    return { warnings: [warning] };
  },
};
