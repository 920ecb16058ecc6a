/** Events of the hub and of the agents that speak through it. */
import type { ApiObject } from '#platform/api/mod.ts';
import { type Client, createEventRecorder, type EventRecorder } from '#platform/client/mod.ts';
import type { Clock } from '#platform/io/mod.ts';
import type { StoredObject } from '#platform/store/mod.ts';
import { metadataOf } from './stored-facets.ts';

const kinds: Readonly<Record<string, string>> = { pods: 'Pod', nodes: 'Node' };

export interface EventReports {
  /** Of the part of the hub that decides, e.g. `scheduler`. */
  record(
    component: string,
    regarding: StoredObject,
    severity: 'Normal' | 'Warning',
    reason: string,
    message: string,
  ): void;
  /** What the agent of that node has seen. */
  recordOfAgent(
    nodeName: string,
    regarding: StoredObject,
    severity: 'Normal' | 'Warning',
    reason: string,
    message: string,
  ): void;
  forgetNode(nodeName: string): void;
}

export function createEventReports(client: Client, clock: Clock): EventReports {
  const components = new Map<string, EventRecorder>();
  const agents = new Map<string, EventRecorder>();
  const recorderOf = (
    known: Map<string, EventRecorder>,
    name: string,
    options: { readonly component: string; readonly host?: string },
  ): EventRecorder => {
    let recorder = known.get(name);
    if (recorder === undefined) {
      recorder = createEventRecorder(client, clock, options);
      known.set(name, recorder);
    }
    return recorder;
  };
  return {
    record(component, regarding, severity, reason, message) {
      recorderOf(components, component, { component }).record({
        regarding: subjectOf(regarding),
        severity,
        reason,
        message,
      });
    },
    recordOfAgent(nodeName, regarding, severity, reason, message) {
      recorderOf(agents, nodeName, { component: 'agent', host: nodeName }).record({
        regarding: subjectOf(regarding),
        severity,
        reason,
        message,
      });
    },
    forgetNode(nodeName) {
      agents.delete(nodeName);
    },
  };
}

/** As much of the object as an Event names. */
function subjectOf(object: StoredObject): ApiObject {
  const { key, uid, revision } = object;
  return {
    apiVersion: 'v1',
    kind: kinds[key.resource] ?? key.resource,
    metadata: {
      ...metadataOf(object),
      name: key.name,
      ...(key.namespace === '' ? {} : { namespace: key.namespace }),
      uid,
      resourceVersion: String(revision),
    },
  };
}
