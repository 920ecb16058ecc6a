/**
 * Server-side apply: a PATCH that says what one manager wants of an object, which is
 * made where it is not there.
 *
 * Invariants:
 * 1. What is applied is merged, judged for conflicts and stored in one transaction.
 * 2. Defaults are nobody's: only what the body names belongs to its manager.
 */
import { copyJson, isJsonObject, type Json, type JsonObject } from '#base/mod.ts';
import {
  apiVersionOf,
  type Author,
  emptySet,
  fieldsUnchangedSince,
  lastAppliedAnnotation,
  lastAppliedOf,
  ownersForApply,
  parseStrictYaml,
  planApply,
  type ResourceDefinition,
  StatusError,
} from '#platform/api/mod.ts';
import { applierOf } from '../authorship.ts';
import { authorize } from '../authorization.ts';
import { readBytes } from '../body.ts';
import type { ServerParts } from '../dependencies.ts';
import { decodeApplied, decodeObject } from '../object-decoding.ts';
import { fieldValidationOf, flagOf } from '../query.ts';
import { keyOf } from '../reading.ts';
import type { RequestContext, RouteHandler } from '../route-table.ts';
import { createObject } from './create.ts';
import { answerUpdate, requireNamesOfUrl, type Revise, type UpdateScope } from './update.ts';

/** The manager of `kubectl apply --server-side`, which follows up on `kubectl apply`. */
const kubectlManager = 'kubectl';
/** An object that comes and goes while it is applied is given up after so many looks. */
const attemptsMax = 5;

export async function applyObject(
  parts: ServerParts,
  definition: ResourceDefinition,
  context: RequestContext,
  scope: UpdateScope,
): ReturnType<RouteHandler> {
  const { value, duplicates } = parseStrictYaml(await readBytes(context.request));
  const validation = fieldValidationOf(context.query);
  const { object, warnings: found } = decodeApplied(definition, value, duplicates, validation);
  const applied = partApplied(definition, object, scope);
  const { namespace = '', name = '' } = context.parameters;
  nameByUrl(applied, { namespace, name });
  const author = applierOf(parts, context, scope === 'main' ? undefined : scope);
  // What a person should know of the object is known once it is merged.
  let known: readonly string[] = [];
  const revise = applying(definition, applied, author, flagOf(context.query, 'force'), (said) => {
    known = said;
  });
  const key = keyOf(definition, namespace, name);
  for (let attempt = 1; ; attempt += 1) {
    const isThere = parts.store.get(key) !== undefined || scope !== 'main';
    try {
      return isThere
        ? await answerUpdate(parts, definition, context, scope, revise, () => found.concat(known))
        : await createApplied(parts, definition, context, applied, author, found);
    } catch (error) {
      const isRaced =
        error instanceof StatusError &&
        scope === 'main' &&
        error.reason === (isThere ? 'NotFound' : 'AlreadyExists');
      if (!isRaced || attempt === attemptsMax) throw error;
    }
  }
}

/** The object without what this endpoint does not write. */
function partApplied(
  definition: ResourceDefinition,
  object: JsonObject,
  scope: UpdateScope,
): JsonObject {
  if (scope === 'status') {
    const { apiVersion = '', kind = '', metadata = {}, status } = object;
    const { name, namespace, resourceVersion } = isJsonObject(metadata) ? metadata : {};
    const identity = {
      ...(name === undefined ? {} : { name }),
      ...(namespace === undefined ? {} : { namespace }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    };
    const part = { apiVersion, kind, metadata: identity };
    return status === undefined ? part : { ...part, status };
  }
  if (!definition.subresources.includes('status')) return object;
  const { status: _status, ...part } = object;
  return part;
}

/** In place. Throws 400 where the body is of another object, or names owners. */
function nameByUrl(
  applied: JsonObject,
  url: { readonly namespace: string; readonly name: string },
): void {
  const metadata = isJsonObject(applied['metadata']) ? applied['metadata'] : {};
  if (metadata['managedFields'] !== undefined) {
    throw new StatusError('BadRequest', 'metadata.managedFields must be nil');
  }
  requireNamesOfUrl(metadata, url);
  const { name = '' } = metadata;
  applied['metadata'] = { ...metadata, name: name === '' ? url.name : name };
}

/** What the applied object makes of the one that is there. */
function applying(
  definition: ResourceDefinition,
  applied: JsonObject,
  author: Author,
  force: boolean,
  warn: (warnings: readonly string[]) => void,
): Revise {
  const { schema } = definition;
  const facet = author.subresource === 'status' ? 'report' : 'intent';
  return (previous, stored) => {
    const live = previous as unknown as JsonObject;
    const isKubectl = author.manager === kubectlManager && facet === 'intent';
    const plan = planApply({
      ...{ schema, apiVersion: apiVersionOf(definition), live, applied, author, force },
      owners: ownersForApply(definition, stored, facet, author.subresource),
      free: isKubectl ? fieldsUnchangedSince(schema, live) : emptySet,
    });
    const merged = isKubectl ? withLastApplied(plan.object, applied) : plan.object;
    const { object, warnings } = decodeObject(definition, merged, [], 'Ignore');
    warn(warnings);
    return { object: copyJson(object), owners: plan.owners };
  };
}

/** Where `kubectl apply` keeps what it applied, it finds what was applied now. */
function withLastApplied(object: JsonObject, applied: JsonObject): JsonObject {
  if (lastAppliedOf(object) === undefined) return object;
  const metadata = object['metadata'] as JsonObject;
  const annotations = metadata['annotations'] as JsonObject;
  const text = `${JSON.stringify(withoutLastApplied(applied))}\n`;
  return {
    ...object,
    metadata: { ...metadata, annotations: { ...annotations, [lastAppliedAnnotation]: text } },
  };
}

function withoutLastApplied(applied: JsonObject): JsonObject {
  const { metadata } = applied;
  const annotations: Json | undefined = isJsonObject(metadata)
    ? metadata['annotations']
    : undefined;
  if (!isJsonObject(metadata) || !isJsonObject(annotations)) return applied;
  const { [lastAppliedAnnotation]: _last, ...kept } = annotations;
  return { ...applied, metadata: { ...metadata, annotations: kept } };
}

async function createApplied(
  parts: ServerParts,
  definition: ResourceDefinition,
  context: RequestContext,
  applied: JsonObject,
  author: Author,
  found: readonly string[],
): ReturnType<RouteHandler> {
  requireMayCreate(parts, context);
  const { owners } = planApply({
    ...{ schema: definition.schema, apiVersion: apiVersionOf(definition), applied, author },
    ...{ live: undefined, owners: [], force: false, free: emptySet },
  });
  const { object, warnings } = decodeObject(definition, copyJson(applied), [], 'Ignore');
  return createObject(parts, definition, context, object, found.concat(warnings), {
    author: { ...author, isOwn: false },
    owners,
  });
}

/** To make an object with a patch takes both rights. */
function requireMayCreate(
  parts: ServerParts,
  { user, row, request, parameters }: RequestContext,
): void {
  const { subject } = row;
  if (subject.type !== 'resource') return;
  authorize(parts, {
    user,
    subject: { ...subject, verb: 'create' },
    path: request.path,
    namespace: parameters['namespace'] ?? '',
    name: parameters['name'] ?? '',
    fieldSelector: () => [],
  });
}
