/** Event: something that happened to an object, kept for a while beside the log. */
import type { ResourceDefinition } from '../definition.ts';
import { defaultFacetLayout } from '../facets.ts';
import type { ApiObject } from '../object.ts';
import { instant, integer, oneOf, record, text } from '../meta/build.ts';
import { ageText } from '../age-text.ts';
import { column, wideColumn } from '../meta/columns.ts';
import { dropIgnoredMetadata, objectSchema } from '../meta/metadata.ts';
import { allVerbs } from '../meta/resources.ts';

export type ObjectReference = {
  apiVersion?: string;
  kind?: string;
  namespace?: string;
  name?: string;
  uid?: string;
  resourceVersion?: string;
  fieldPath?: string;
};

export interface Event extends ApiObject {
  involvedObject: ObjectReference;
  reason?: string;
  message?: string;
  type?: 'Normal' | 'Warning';
  source?: { component?: string; host?: string };
  firstTimestamp?: string;
  lastTimestamp?: string;
  eventTime?: string;
  count?: number;
  reportingComponent?: string;
  reportingInstance?: string;
}

const referenceSchema = record('The object that it happened to.', {
  apiVersion: text('Group and version of the object.'),
  kind: text('Kind of the object.'),
  namespace: text('Namespace of the object; empty for one outside all namespaces.'),
  name: text('Name of the object.'),
  uid: text('Identity of the object.'),
  resourceVersion: text('The version of the object that the reporter saw.'),
  fieldPath: text('The part of the object, e.g. one of its containers.'),
});

export const eventDefinition: ResourceDefinition = {
  group: '',
  version: 'v1',
  kind: 'Event',
  plural: 'events',
  singular: 'event',
  shortNames: ['ev'],
  categories: [],
  namespaced: true,
  verbs: allVerbs,
  subresources: [],
  storage: 'events',
  schema: objectSchema(
    'Something that happened to an object. Events are dropped, oldest first, when room runs out.',
    {
      involvedObject: referenceSchema,
      reason: text('One word for what happened.', { maxLength: 128 }),
      message: text('What happened, for people.', { maxLength: 4096 }),
      type: oneOf('Normal, or Warning where somebody may have to act.', ['Normal', 'Warning']),
      source: record('Who saw it.', {
        component: text('The part of the program.'),
        host: text('The node that it runs on.'),
      }),
      firstTimestamp: instant('When it happened first.'),
      lastTimestamp: instant('When it happened last.'),
      eventTime: instant('When it happened, for reporters that do not count.'),
      count: integer('How often it has happened.'),
      reportingComponent: text('The part of the program that reports it.'),
      reportingInstance: text('Which of several such parts reports it.'),
    },
    ['involvedObject'],
  ),
  columns: [
    column('Last Seen', 'string', 'Time since it happened last.', (object, nowMs) =>
      ageText(lastSeen(object as Event), nowMs),
    ),
    column('Type', 'string', 'Normal or Warning.', (object) => (object as Event).type ?? ''),
    column('Reason', 'string', 'One word for what happened.', (object) => {
      return (object as Event).reason ?? '';
    }),
    column('Object', 'string', 'The object that it happened to.', (object) => {
      const { kind = '', name = '' } = (object as Event).involvedObject;
      return `${kind.toLowerCase()}/${name}`;
    }),
    wideColumn('Source', 'string', 'Who saw it.', (object) => {
      const { component, host } = (object as Event).source ?? {};
      return [component, host].filter(Boolean).join(', ');
    }),
    column('Message', 'string', 'What happened.', (object) =>
      ((object as Event).message ?? '').trim(),
    ),
    wideColumn('First Seen', 'string', 'Time since it happened first.', (object, nowMs) =>
      ageText((object as Event).firstTimestamp ?? lastSeen(object as Event), nowMs),
    ),
    wideColumn('Count', 'integer', 'How often it has happened.', (object) => {
      return (object as Event).count ?? 1;
    }),
  ],
  selectableFields: {
    'involvedObject.apiVersion': involved('apiVersion'),
    'involvedObject.kind': involved('kind'),
    'involvedObject.namespace': involved('namespace'),
    'involvedObject.name': involved('name'),
    'involvedObject.uid': involved('uid'),
    'involvedObject.resourceVersion': involved('resourceVersion'),
    'involvedObject.fieldPath': involved('fieldPath'),
    reason: (object) => (object as Event).reason ?? '',
    type: (object) => (object as Event).type ?? '',
    source: (object) => (object as Event).source?.component ?? '',
    reportingComponent: (object) => (object as Event).reportingComponent ?? '',
  },
  facets: defaultFacetLayout(),
  applyDefaults(object) {
    dropIgnoredMetadata(object);
    const event = object as Event;
    event.type ??= 'Normal';
    for (const field of ['firstTimestamp', 'lastTimestamp', 'eventTime']) {
      if (object[field] === null) delete object[field];
    }
  },
  validate(object) {
    const namespace = (object as Event).involvedObject.namespace ?? '';
    // What happens to objects outside all namespaces is told in `default`.
    if ((namespace === '' ? 'default' : namespace) === object.metadata.namespace) return [];
    return [
      {
        field: 'involvedObject.namespace',
        reason: 'FieldValueInvalid',
        message: 'does not match event.namespace',
      },
    ];
  },
};

function lastSeen(event: Event): string | undefined {
  return event.lastTimestamp ?? event.eventTime ?? event.metadata.creationTimestamp;
}

function involved(field: keyof ObjectReference): (object: ApiObject) => string {
  return (object) => (object as Event).involvedObject[field] ?? '';
}
