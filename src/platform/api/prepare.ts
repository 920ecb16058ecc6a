/**
 * What the server itself writes into an object before it is stored.
 *
 * Invariants:
 * 1. uid, creationTimestamp, deletionTimestamp and generation are the server's:
 *    a create ignores what the body says of them, an update keeps what was.
 * 2. generation rises by one exactly when something outside metadata and status
 *    changes, and when deletion is first asked for, in kinds that have a desired
 *    state (a spec).
 * 3. Kinds with a status subresource: the main endpoint never changes status, the
 *    status endpoint never changes anything else.
 * 4. Arguments are not changed; results share structure with them.
 */
import { assert, type Json, type JsonObject } from '#base/mod.ts';
import { timestampOf } from '#platform/io/mod.ts';
import type { ResourceDefinition, Subresource } from './definition.ts';
import { equalJson, refuseInvalid } from './field-errors.ts';
import { immutableMetadataErrors } from './metadata.ts';
import type { ApiObject, ObjectMeta } from './object.ts';
import { apiVersionOf } from './registry.ts';
import { StatusError } from './status-error.ts';

export interface CreateContext {
  readonly uid: string;
  /** Wall time. */
  readonly nowMs: number;
  /** Of the request's path; empty for cluster-scoped kinds. */
  readonly namespace: string;
  /** Random lower-case letters and digits to append to generateName. */
  readonly generatedSuffix: string;
}

export interface UpdateContext {
  /** The endpoint that was written to; `main` without one. */
  readonly subresource?: Subresource;
}

const nameLengthMax = 253;
const keptByUpdates = [
  'namespace',
  'uid',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'generation',
  'resourceVersion',
] as const;

/**
 * Throws StatusError 400 where the body contradicts the path, as for a wrong
 * kind or namespace.
 */
export function prepareForCreate(
  definition: ResourceDefinition,
  object: ApiObject,
  context: CreateContext,
): ApiObject {
  requireTypeOf(definition, object);
  const given: Partial<ObjectMeta> = object.metadata ?? {};
  const {
    resourceVersion,
    generation: _generation,
    deletionTimestamp: _deletionTimestamp,
    deletionGracePeriodSeconds: _grace,
    managedFields: _owners,
    ...kept
  } = given;
  if (resourceVersion !== undefined && resourceVersion !== '') {
    throw new StatusError(
      'BadRequest',
      'metadata.resourceVersion must not be set on an object to be created',
    );
  }
  const namespace = namespaceFor(definition, given, context.namespace);
  const metadata: ObjectMeta = {
    ...kept,
    name: nameFor(given, context.generatedSuffix),
    ...(namespace === '' ? {} : { namespace }),
    uid: context.uid,
    creationTimestamp: timestampOf(context.nowMs),
    ...(hasDesiredState(definition) ? { generation: 1 } : {}),
  };
  if (namespace === '') delete metadata.namespace;
  const created: ApiObject = { ...object, metadata };
  if (definition.subresources.includes('status')) delete created.status;
  return created;
}

/**
 * The object to store for an update of `previous` to `next`. Throws StatusError
 * 422 where `next` changes what cannot be changed, and 409 where it names
 * another uid or an older resourceVersion.
 */
export function prepareForUpdate(
  definition: ResourceDefinition,
  previous: ApiObject,
  next: ApiObject,
  context: UpdateContext = {},
): ApiObject {
  requireTypeOf(definition, next);
  const before = previous.metadata;
  const after: Partial<ObjectMeta> = next.metadata ?? {};
  requirePreconditions(definition, before, after);
  refuseInvalid(
    definition,
    before.name,
    immutableMetadataErrors(before, { ...after, uid: before.uid ?? '' } as ObjectMeta),
  );
  if (context.subresource === 'status') return withStatus(previous, next);
  const metadata: ObjectMeta = { ...after, name: before.name };
  for (const name of keptByUpdates) keep(metadata, before, name);
  const updated: ApiObject = { ...next, metadata };
  if (definition.subresources.includes('status')) {
    if (previous.status === undefined) delete updated.status;
    else updated.status = previous.status;
  }
  if (
    hasDesiredState(definition) &&
    !equalJson(desiredStateOf(previous), desiredStateOf(updated))
  ) {
    metadata.generation = (before.generation ?? 0) + 1;
  }
  return updated;
}

/**
 * Metadata of an object that is to go. The first time its generation rises: to be gone
 * is another state to bring about, and many controllers look at no other change.
 */
export function withDeletion<
  Metadata extends { readonly generation?: unknown; readonly deletionTimestamp?: unknown },
>(
  metadata: Metadata,
  deletionTimestamp: string,
  deletionGracePeriodSeconds: number,
): Metadata & { deletionTimestamp: string; deletionGracePeriodSeconds: number } {
  const { generation } = metadata;
  const isFirst = metadata.deletionTimestamp === undefined && typeof generation === 'number';
  return {
    ...metadata,
    ...(isFirst ? { generation: generation + 1 } : {}),
    deletionTimestamp,
    deletionGracePeriodSeconds,
  };
}

/** Refuses a body of another kind than the endpoint serves (400). */
export function requireTypeOf(definition: ResourceDefinition, object: ApiObject): void {
  const apiVersion = apiVersionOf(definition);
  if (object.apiVersion === apiVersion && object.kind === definition.kind) return;
  throw new StatusError(
    'BadRequest',
    `this endpoint takes ${apiVersion} ${definition.kind}; the body is ${object.apiVersion ?? 'without apiVersion'} ${object.kind ?? 'without kind'}`,
  );
}

function requirePreconditions(
  definition: ResourceDefinition,
  before: ObjectMeta,
  after: Partial<ObjectMeta>,
): void {
  const details = { kind: definition.plural, group: definition.group, name: before.name };
  if (after.uid !== undefined && after.uid !== '' && after.uid !== before.uid) {
    throw new StatusError(
      'Conflict',
      `the update is of uid ${after.uid}, but ${definition.plural} ${JSON.stringify(before.name)} now is ${before.uid ?? 'unknown'}: read it again`,
      details,
    );
  }
  const version = after.resourceVersion;
  if (version !== undefined && version !== '' && version !== before.resourceVersion) {
    throw new StatusError(
      'Conflict',
      `Operation cannot be fulfilled on ${definition.plural} ${JSON.stringify(before.name)}: the object has been modified; please apply your changes to the latest version and try again`,
      details,
    );
  }
}

function withStatus(previous: ApiObject, next: ApiObject): ApiObject {
  const updated: ApiObject = { ...previous };
  if (next.status === undefined) delete updated.status;
  else updated.status = next.status;
  return updated;
}

function keep(into: ObjectMeta, from: ObjectMeta, name: (typeof keptByUpdates)[number]): void {
  if (from[name] === undefined) delete into[name];
  else Object.assign(into, { [name]: from[name] });
}

function hasDesiredState(definition: ResourceDefinition): boolean {
  if (definition.declared !== undefined) return true;
  return definition.schema.properties?.['spec'] !== undefined;
}

function desiredStateOf(object: ApiObject): Json {
  const { metadata: _metadata, status: _status, ...desired } = object;
  return desired as unknown as JsonObject;
}

function namespaceFor(
  definition: ResourceDefinition,
  given: Partial<ObjectMeta>,
  namespace: string,
): string {
  assert(
    definition.namespaced === (namespace !== ''),
    'a path has a namespace where the kind has one',
  );
  const inBody = given.namespace ?? '';
  if (inBody !== '' && inBody !== namespace) {
    const where = namespace === '' ? 'no namespace' : `namespace ${JSON.stringify(namespace)}`;
    throw new StatusError(
      'BadRequest',
      `the body is for namespace ${JSON.stringify(inBody)}, the request for ${where}`,
    );
  }
  return namespace;
}

function nameFor(given: Partial<ObjectMeta>, generatedSuffix: string): string {
  if (given.name !== undefined && given.name !== '') return given.name;
  const base = given.generateName ?? '';
  if (base === '') return '';
  return `${base.slice(0, nameLengthMax - generatedSuffix.length)}${generatedSuffix}`;
}
