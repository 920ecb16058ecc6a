/**
 * The schema of `metadata`, which every object carries, and of the envelope
 * around it. `managedFields` are no part of what is stored of an object: who writes
 * them takes them off first (`fields/owners.ts`). `selfLink` is accepted because clients
 * send back what other servers once gave them; it is dropped.
 */
import { isJsonObject } from '#base/mod.ts';
import type { ApiObject } from '../object.ts';
import type { Schema } from '../schema.ts';
import { flag, instant, keyedList, mapOf, record, setList, text } from './build.ts';

export const ownerReferenceSchema = record(
  'An object that this one belongs to. When the last owner is gone, so is this object.',
  {
    apiVersion: text('Group and version of the owner.', { minLength: 1 }),
    kind: text('Kind of the owner.', { minLength: 1 }),
    name: text('Name of the owner, in the same namespace or cluster-wide.', { minLength: 1 }),
    uid: text('Identity of the owner; a later object of the same name is not the owner.', {
      minLength: 1,
    }),
    controller: flag('True for the one owner that manages this object. At most one owner has it.'),
    blockOwnerDeletion: flag(
      'True where a foreground deletion of the owner has to wait until this object is gone.',
    ),
  },
  ['apiVersion', 'kind', 'name', 'uid'],
);

const labels = mapOf(
  'Names and values to select objects by.',
  text('The value of one label.', { format: 'label-value' }),
);
const annotations = mapOf(
  'Free text for tools and people, never selected by. All of it together is at most 256 KiB.',
  text('The value of one annotation.'),
);

export const metadataSchema: Schema = record(
  'What the object is called, who owns it, and what the server knows about its life.',
  {
    name: text('Unique among objects of this kind in the namespace. Cannot be changed.', {
      format: 'dns-subdomain',
    }),
    generateName: text(
      'Where no name is given, the server appends five random characters to this.',
    ),
    namespace: text('The namespace that the object lives in. Cannot be changed.', {
      format: 'dns-label',
    }),
    labels,
    annotations,
    finalizers: setList(
      'Work that has to be done before the object may go. Whoever does it removes its entry.',
      text('Name of one piece of work.', { minLength: 1 }),
    ),
    ownerReferences: keyedList(
      'The objects that this one belongs to.',
      ['uid'],
      ownerReferenceSchema,
    ),
    uid: text('Identity of this object over its whole life. Set by the server.'),
    resourceVersion: text(
      'The version of the object that was read. An update that carries an older one is refused.',
    ),
    generation: {
      type: 'integer',
      format: 'int64',
      description:
        'Rises by one with every change of the desired state, and when deletion is asked for. Set by the server.',
    },
    creationTimestamp: instant('When the object was created. Set by the server.'),
    deletionTimestamp: instant('When the deletion was asked for. Set by the server.'),
    deletionGracePeriodSeconds: {
      type: 'integer',
      format: 'int64',
      description: 'Time the object has to finish once deletion was asked for. Set by the server.',
    },
    selfLink: text('Ignored. Accepted because some clients still send it.'),
    managedFields: {
      type: 'array',
      description:
        'Who set which field, for server-side apply. Kept by the server; a list with one ' +
        'empty entry makes it forget all of them.',
      'x-kubernetes-list-type': 'atomic',
      items: record('What one manager set in one way.', {
        manager: text('Name of the program or person that wrote.'),
        operation: text('Apply, or Update for every other kind of write.'),
        apiVersion: text('Version of the object in which these fields are named.'),
        time: instant('When the manager last changed something here.'),
        fieldsType: text('How fieldsV1 is to be read: always FieldsV1.'),
        fieldsV1: {
          type: 'object',
          description: 'The fields, as nested names.',
          'x-kubernetes-preserve-unknown-fields': true,
        },
        subresource: text('The subresource that was written; empty for the object itself.'),
      }),
    },
  },
);

/** Metadata of a template: what the objects made from it will carry. */
export const templateMetadataSchema: Schema = record(
  'Labels and annotations of every object made from this template.',
  {
    labels,
    annotations,
    name: text('Ignored: objects made from a template get names of their own.'),
    namespace: text('Ignored: objects made from a template live where their owner does.'),
    creationTimestamp: instant('Ignored. Typed clients send null here.'),
  },
);

/** The schema of a whole object: envelope, metadata and the given fields. */
export function objectSchema(
  description: string,
  fields: Readonly<Record<string, Schema>>,
  required: readonly string[] = [],
): Schema {
  return record(
    description,
    {
      apiVersion: text('Group and version of the schema that this object follows.'),
      kind: text('The kind of this object.'),
      metadata: metadataSchema,
      ...fields,
    },
    required,
  );
}

/** Removes what is accepted but never kept. Idempotent; every kind's defaults begin with it. */
export function dropIgnoredMetadata(object: ApiObject): void {
  const metadata: unknown = object.metadata;
  if (!isJsonObject(metadata)) return;
  delete metadata['managedFields'];
  delete metadata['selfLink'];
}
