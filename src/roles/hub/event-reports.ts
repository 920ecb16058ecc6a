/** Events of the hub and of the agents that speak through it. */
import { type ApiObject, StatusError } from '#platform/api/mod.ts';
import {
  type Client,
  createEventRecorder,
  deliverEvent,
  type EventPosition,
  type EventRecorder,
} from '#platform/client/mod.ts';
import { type Clock, timestampOf } from '#platform/io/mod.ts';
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
  /**
   * What the agent of that node has seen, when it stands there in its outbox. Resolves when
   * it is durable, also where it was before, and where its namespace ends and would take it
   * along; false where the server will not have it.
   */
  deliver(nodeName: string, position: EventPosition, event: AgentEvent): Promise<boolean>;
}

export interface AgentEvent {
  readonly regarding: StoredObject;
  readonly severity: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
  /** By the node's clock, which may be wrong: it is told as no later than now. */
  readonly atWallMs: number;
}

export function createEventReports(client: Client, clock: Clock): EventReports {
  const components = new Map<string, EventRecorder>();
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
    async deliver(nodeName, position, { regarding, severity, reason, message, atWallMs }) {
      const report = { regarding: subjectOf(regarding), severity, reason, message };
      const happenedAt = timestampOf(Math.min(atWallMs, clock.wallMs()));
      const teller = { component: 'agent', host: nodeName };
      try {
        await deliverEvent(client, report, teller, position, happenedAt);
        return true;
      } catch (thrown) {
        // It will not be better later. A disk that is full or has failed will: until then the
        // outbox keeps what comes after it as well.
        if (!(thrown instanceof StatusError) || thrown.httpStatus >= 500) throw thrown;
        return endsWithItsNamespace(thrown);
      }
    },
  };
}

/** Nobody could read it any more: the loss of such an event is none to be told of. */
function endsWithItsNamespace({ reason, options }: StatusError): boolean {
  if (reason === 'NotFound') return options.kind === 'namespaces';
  return (options.causes ?? []).some((cause) => cause.reason === 'NamespaceTerminating');
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
