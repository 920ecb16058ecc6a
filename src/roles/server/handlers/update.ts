/** PUT and PATCH of an object, of its status, and of a namespace's finalizers. */
import { copyJson, isJsonObject, type Json, type JsonObject } from '#base/mod.ts';
import {
  type ApiObject,
  applyJsonPatch,
  applyMergePatch,
  applyStrategicMergePatch,
  parseStrictJson,
  prepareForUpdate,
  type ResourceDefinition,
  type Schema,
  StatusError,
} from '#platform/api/mod.ts';
import type { StoreView, Transaction } from '#platform/store/mod.ts';
import { admissionOf, type RequestAdmission } from '../admission/admission.ts';
import { contentTypeOf, readBytes, requireParsed } from '../body.ts';
import type { ServerParts } from '../dependencies.ts';
import { isReadyToGo } from '../departure.ts';
import { decodeObject, validateObject, warningHeaders } from '../object-decoding.ts';
import { fieldValidationOf, isDryRun } from '../query.ts';
import { keyOf, notFoundError } from '../reading.ts';
import type { RequestContext, RouteHandler } from '../route-table.ts';
import { settled } from '../settling.ts';
import { commitDraft, type Draft, draftRemove, draftUpdate } from '../writing.ts';
import { objectAnswer } from './read.ts';

export type UpdateScope = 'main' | 'status' | 'finalize';

/** What an object is to become, from what it is at the moment of the transaction. */
export type Revise = (previous: ApiObject) => ApiObject;

export function updateHandler(
  parts: ServerParts,
  definition: ResourceDefinition,
  scope: UpdateScope,
): RouteHandler {
  return async (context) => {
    const { value, duplicates } = await requireParsed(context.request);
    const { object, warnings } = decodeObject(
      definition,
      value,
      duplicates,
      fieldValidationOf(context.query),
    );
    // What a decision changes in place: its own metadata, and defaults, which it finds again.
    const revise: Revise = () => ({ ...object, metadata: { ...object.metadata } });
    return answerUpdate(parts, definition, context, scope, revise, () => warnings);
  };
}

export function patchHandler(
  parts: ServerParts,
  definition: ResourceDefinition,
  scope: UpdateScope,
): RouteHandler {
  return async (context) => {
    const patch = await readPatch(context);
    const fieldValidation = fieldValidationOf(context.query);
    let warnings: readonly string[] = [];
    const revise: Revise = (previous) => {
      const patched = patch.apply(definition.schema, previous as unknown as JsonObject);
      const decoded = decodeObject(definition, patched, patch.duplicates, fieldValidation);
      warnings = decoded.warnings;
      // The patched object shares what the patch left alone with the one that is served.
      return copyJson(decoded.object);
    };
    return answerUpdate(parts, definition, context, scope, revise, () => warnings);
  };
}

async function answerUpdate(
  parts: ServerParts,
  definition: ResourceDefinition,
  context: RequestContext,
  scope: UpdateScope,
  revise: Revise,
  warnings: () => readonly string[],
): ReturnType<RouteHandler> {
  const { namespace = '', name = '' } = context.parameters;
  const dryRun = isDryRun(context.query.getAll('dryRun'));
  const key = keyOf(definition, namespace, name);
  const endpoint = scope === 'main' ? undefined : scope;
  const admission = admissionOf(parts, definition, context, 'update', endpoint, dryRun);
  const written = await commitDraft(parts, definition, dryRun, (view) =>
    decideUpdate(parts, definition, view, key, scope, revise, admission),
  );
  const headers = warningHeaders(warnings().concat(admission.warnings()));
  return objectAnswer(parts, definition, context, 200, written.served, headers);
}

/**
 * The transaction of an update: everything that may refuse it is checked against
 * the object as it is then. An object whose last finalizer goes is removed.
 */
export function decideUpdate(
  parts: ServerParts,
  definition: ResourceDefinition,
  view: StoreView,
  key: ReturnType<typeof keyOf>,
  scope: UpdateScope,
  revise: Revise,
  admission: RequestAdmission,
): Transaction<Draft> {
  const stored = view.get(key);
  if (stored === undefined) throw notFoundError(definition, key.name);
  const previous = parts.served.of(definition, stored).object;
  const asked = revise(previous);
  requireSameName(key.name, asked);
  // The server's own marks are never taken away by a body that leaves them out.
  const { deletionTimestamp } = previous.metadata;
  if (deletionTimestamp !== undefined) asked.metadata.deletionTimestamp ??= deletionTimestamp;
  definition.applyDefaults?.(asked);
  admission.shape(asked, previous, view);
  const next = scope === 'status' ? asked : settled(parts, definition, view, asked, previous);
  if (definition.subresources.includes('finalize')) {
    keepOrSetFinalizers(previous, next, scope === 'finalize');
  }
  const updated = prepareForUpdate(
    definition,
    previous,
    scope === 'finalize' ? withFinalizers(previous, next) : next,
    scope === 'status' ? { subresource: 'status' } : {},
  );
  validateObject(definition, updated, { operation: 'update', previous });
  return admission.admit(updated, previous, view, () =>
    scope !== 'status' && isReadyToGo(definition, updated, stored)
      ? draftRemove(stored)
      : draftUpdate(definition, stored, updated, scope === 'status' ? 'status' : 'main'),
  );
}

function requireSameName(name: string, next: ApiObject): void {
  if ((next.metadata.name ?? '') === '') next.metadata.name = name;
  if (next.metadata.name !== name) {
    throw new StatusError(
      'BadRequest',
      `the name of the object (${next.metadata.name}) does not match the name on the URL (${name})`,
    );
  }
}

/** `spec.finalizers` is written through the finalize subresource alone. */
function keepOrSetFinalizers(previous: ApiObject, next: ApiObject, isFinalize: boolean): void {
  if (isFinalize) return;
  const kept = previous.spec?.['finalizers'];
  const { finalizers: _ignored, ...spec } = next.spec ?? {};
  next.spec = kept === undefined ? spec : { ...spec, finalizers: kept };
}

function withFinalizers(previous: ApiObject, next: ApiObject): ApiObject {
  const finalizers = next.spec?.['finalizers'] ?? [];
  const { resourceVersion } = next.metadata;
  return {
    ...previous,
    metadata: {
      ...previous.metadata,
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    },
    spec: { ...previous.spec, finalizers },
  };
}

export interface Patch {
  readonly duplicates: readonly string[];
  apply(schema: Schema, target: JsonObject): Json;
}

/** The body of a PATCH by its media type. Throws 400, 413 or 415. */
export async function readPatch({ request }: RequestContext): Promise<Patch> {
  const contentType = contentTypeOf(request);
  if (contentType === 'application/apply-patch+yaml') {
    throw new StatusError(
      'UnsupportedMediaType',
      'server-side apply is not built yet: use "kubectl apply" without --server-side, ' +
        'or send a merge patch, a JSON patch or a strategic merge patch',
    );
  }
  const known = ['json-patch', 'merge-patch', 'strategic-merge-patch'];
  const kind = known.find((name) => contentType === `application/${name}+json`);
  if (kind === undefined) {
    throw new StatusError(
      'UnsupportedMediaType',
      `the body of the request is of the type ${JSON.stringify(contentType.slice(0, 100))}; accepted ` +
        `are ${known.map((name) => `application/${name}+json`).join(', ')}`,
    );
  }
  const { value, duplicates } = parseStrictJson(await readBytes(request));
  if (kind === 'json-patch') {
    return { duplicates: [], apply: (_schema, target) => applyJsonPatch(target, value) };
  }
  if (!isJsonObject(value)) {
    throw new StatusError('BadRequest', 'a merge patch must be a JSON object');
  }
  if (kind === 'merge-patch') {
    return { duplicates, apply: (_schema, target) => applyMergePatch(target, value) };
  }
  return {
    duplicates,
    apply: (schema, target) => applyStrategicMergePatch(schema, target, value),
  };
}
