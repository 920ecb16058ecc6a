/** PATCH of an object and of its status, by the media type of its body. */
import { copyJson, isJsonObject, type Json, type JsonObject } from '#base/mod.ts';
import {
  applyJsonPatch,
  applyMergePatch,
  applyStrategicMergePatch,
  parseStrictJson,
  refuseInvalid,
  type ResourceDefinition,
  type Schema,
  StatusError,
} from '#platform/api/mod.ts';
import { contentTypeOf, readBytes } from '../body.ts';
import type { ServerParts } from '../dependencies.ts';
import { decodeObject } from '../object-decoding.ts';
import { fieldValidationOf, flagOf } from '../query.ts';
import type { RequestContext, RouteHandler } from '../route-table.ts';
import { applyObject } from './apply.ts';
import { answerUpdate, type Revise, type UpdateScope } from './update.ts';

export const applyMediaType = 'application/apply-patch+yaml';

export function patchHandler(
  parts: ServerParts,
  definition: ResourceDefinition,
  scope: UpdateScope,
): RouteHandler {
  return async (context) => {
    if (contentTypeOf(context.request) === applyMediaType) {
      return applyObject(parts, definition, context, scope);
    }
    const patch = await readPatch(context, definition.declared === undefined);
    const fieldValidation = fieldValidationOf(context.query);
    let warnings: readonly string[] = [];
    const revise: Revise = (previous, stored) => {
      const target = patch.readsOwners ? parts.served.of(definition, stored).whole() : previous;
      const patched = patch.apply(definition.schema, target as unknown as JsonObject);
      const decoded = decodeObject(definition, patched, patch.duplicates, fieldValidation);
      warnings = decoded.warnings;
      // The patched object shares what the patch left alone with the one that is served.
      return { object: copyJson(decoded.object) };
    };
    return answerUpdate(parts, definition, context, scope, revise, () => warnings);
  };
}

export interface Patch {
  readonly duplicates: readonly string[];
  /** Whether it looks at who set which field, or says so itself. */
  readonly readsOwners: boolean;
  apply(schema: Schema, target: JsonObject): Json;
}

/**
 * The body of a PATCH by its media type. Throws 400, 413 or 415. Schemas of declared
 * kinds have no merge keys, so that they take no strategic patches.
 */
export async function readPatch(
  { request, query }: RequestContext,
  takesStrategic = true,
): Promise<Patch> {
  const contentType = contentTypeOf(request);
  refuseForce(query);
  const strategic = takesStrategic ? ['strategic-merge-patch'] : [];
  const known = ['json-patch', 'merge-patch', ...strategic];
  const kind = known.find((name) => contentType === `application/${name}+json`);
  if (kind === undefined) {
    throw new StatusError(
      'UnsupportedMediaType',
      `the body of the request is of the type ${JSON.stringify(contentType.slice(0, 100))}; accepted ` +
        `are ${known.map((name) => `application/${name}+json`).join(', ')} and ${applyMediaType}`,
    );
  }
  const { value, duplicates } = parseStrictJson(await readBytes(request));
  if (kind === 'json-patch') {
    const readsOwners = Array.isArray(value) && value.some(touchesOwners);
    return {
      duplicates: [],
      readsOwners,
      apply: (_schema, target) => applyJsonPatch(target, value),
    };
  }
  if (!isJsonObject(value)) {
    throw new StatusError('BadRequest', 'a merge patch must be a JSON object');
  }
  if (kind === 'merge-patch') {
    return {
      duplicates,
      readsOwners: false,
      apply: (_schema, target) => applyMergePatch(target, value),
    };
  }
  return {
    duplicates,
    readsOwners: false,
    apply: (schema, target) => applyStrategicMergePatch(schema, target, value),
  };
}

/** An operation of a JSON patch that names the record of who set what, or all around it. */
function touchesOwners(operation: Json): boolean {
  if (!isJsonObject(operation)) return false;
  return [operation['path'], operation['from']].some(
    (pointer) =>
      typeof pointer === 'string' && /^(\/metadata(\/managedFields(\/.*)?)?)?$/.test(pointer),
  );
}

function refuseForce(query: URLSearchParams): void {
  if (!flagOf(query, 'force')) return;
  const message = 'Forbidden: may not be specified for non-apply patch';
  refuseInvalid({ group: 'meta.k8s.io', kind: 'PatchOptions' }, '', [
    { field: 'force', reason: 'FieldValueForbidden', message },
  ]);
}
