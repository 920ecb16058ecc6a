/** The schema of a pod's status: what the node observes, with what the hub concludes over it. */
import { conditionsSchema } from '../meta/condition.ts';
import { flag, instant, integer, keyedList, oneOf, record, text } from '../meta/build.ts';
import type { Schema } from '../schema.ts';

const stateSchema = (description: string): ReturnType<typeof record> =>
  record(description, {
    waiting: record('The container has not started.', {
      reason: text('One word for why it waits.'),
      message: text('Why it waits, for people.'),
    }),
    running: record('The container runs.', { startedAt: instant('When it started.') }),
    terminated: record(
      'The container has ended.',
      {
        exitCode: integer('Its exit code.'),
        signal: integer('The signal that ended it, if one did.'),
        reason: text('One word for how it ended.'),
        message: text('How it ended, for people.'),
        startedAt: instant('When it started.'),
        finishedAt: instant('When it ended.'),
        containerID: text('Which run of the container this was.'),
      },
      ['exitCode'],
    ),
  });

function containerStatuses(description: string): Schema {
  return keyedList(
    description,
    ['name'],
    record(
      'How one container is doing.',
      {
        name: text('Name of the container.'),
        state: stateSchema('What it does now.'),
        lastState: stateSchema('How its run before this one ended.'),
        ready: flag('Whether it does its work.'),
        started: flag('Whether it has started.'),
        restartCount: integer('How often it was started again.'),
        image: text('The reference that was asked for.'),
        imageID: text('The digest of what really runs.'),
        containerID: text('Which run of the container this is.'),
      },
      ['name', 'ready', 'restartCount', 'image', 'imageID'],
    ),
  );
}

export const podStatusSchema = record('What is known about the pod now.', {
  phase: oneOf('Where the pod is in its life.', [
    'Pending',
    'Running',
    'Succeeded',
    'Failed',
    'Unknown',
  ]),
  reason: text('One word for why the pod is in this phase.'),
  message: text('Why the pod is in this phase, for people.'),
  hostIP: text('Address of the node.'),
  hostIPs: keyedList(
    'All addresses of the node.',
    ['ip'],
    record('One address.', { ip: text('The address.') }, ['ip']),
  ),
  podIP: text('Address of the pod.'),
  podIPs: keyedList(
    'All addresses of the pod.',
    ['ip'],
    record('One address.', { ip: text('The address.') }, ['ip']),
  ),
  startTime: instant('When the node took the pod up.'),
  nominatedNodeName: text('The node on which pods of lower priority end to make room for it.'),
  conditions: conditionsSchema('What holds for the pod, since when, and why.', {
    lastProbeTime: instant('When this was last looked at.'),
  }),
  initContainerStatuses: containerStatuses('How each init container is doing.'),
  containerStatuses: containerStatuses('How each container is doing.'),
  qosClass: oneOf(
    'How soon the pod is ended when its node runs short: made from what it asks for.',
    ['Guaranteed', 'Burstable', 'BestEffort'],
  ),
});
