/** Eviction: the request to take one pod off its node. Posted, never stored. */
import { flag, record, setList, text } from '../meta/build.ts';
import { objectSchema } from '../meta/metadata.ts';

export const evictionSchema = objectSchema('Asks for a pod to be taken off its node.', {
  deleteOptions: record('How the pod is to be deleted.', {
    apiVersion: text('Group and version of these options.'),
    kind: text('DeleteOptions.'),
    gracePeriodSeconds: {
      type: 'integer',
      format: 'int64',
      description: 'Time between the request to stop and the kill, instead of the pod its own.',
      minimum: 0,
    },
    preconditions: record('What must be so, or nothing happens.', {
      uid: text('Identity of the pod that is meant.'),
      resourceVersion: text('The version of the pod that was looked at.'),
    }),
    propagationPolicy: text('Background, Foreground or Orphan.'),
    orphanDependents: flag('Ignored.'),
    dryRun: setList('All: only check.', text('All.')),
  }),
});
