/** PUT of an object, of its status, and of a namespace's finalizers; and what every update passes. */
import {
  type ApiObject,
  type Author,
  isStatusWrittenWithTheRest,
  type Owner,
  ownersGiven,
  prepareForUpdate,
  type ResourceDefinition,
  StatusError,
} from '#platform/api/mod.ts';
import type { StoredObject, StoreView, Transaction } from '#platform/store/mod.ts';
import { admissionOf, type RequestAdmission } from '../admission/admission.ts';
import { authorOf } from '../authorship.ts';
import { requireParsed } from '../body.ts';
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
export type Revise = (previous: ApiObject, stored: StoredObject) => Revised;

export interface Revised {
  /** May be changed in place. */
  readonly object: ApiObject;
  /** Who owns what of it afterwards, where that does not follow from the change. */
  readonly owners?: readonly Owner[];
}

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
    const revise: Revise = () => ({ object: { ...object, metadata: { ...object.metadata } } });
    return answerUpdate(parts, definition, context, scope, revise, () => warnings);
  };
}

/** Commits what `revise` makes of the object, and answers with it. */
export async function answerUpdate(
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
  const { subject } = context.row;
  const endpoint = subject.type === 'resource' ? subject.subresource : undefined;
  const admission = admissionOf(parts, definition, context, 'update', endpoint, dryRun);
  const author = authorOf(parts, context, endpoint);
  const written = await commitDraft(parts, definition, dryRun, (view) =>
    decideUpdate(parts, definition, view, key, scope, revise, admission, author),
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
  author: Author,
): Transaction<Draft> {
  const stored = view.get(key);
  if (stored === undefined) throw notFoundError(definition, key.name);
  const previous = parts.served.of(definition, stored).object;
  const { object: asked, owners } = revise(previous, stored);
  const given = takeOwners(definition, asked, scope);
  if ((asked.metadata.name ?? '') === '') asked.metadata.name = key.name;
  requireNamesOfUrl(asked.metadata, key);
  // The server's own marks are never taken away by a body that leaves them out.
  const { deletionTimestamp } = previous.metadata;
  if (deletionTimestamp !== undefined) asked.metadata.deletionTimestamp ??= deletionTimestamp;
  definition.applyDefaults?.(asked);
  const shaped = admission.shape(asked, previous, view);
  const next = scope === 'status' ? shaped : settled(parts, definition, view, shaped, previous);
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
      : draftUpdate(definition, stored, updated, scope === 'status' ? 'status' : 'main', {
          author,
          ...(owners === undefined ? {} : { owners }),
          ...(given === undefined ? {} : { given }),
        }),
  );
}

/** Takes the owners off that the client sent; of an endpoint's, which it may set. */
function takeOwners(
  definition: ResourceDefinition,
  asked: ApiObject,
  scope: UpdateScope,
): readonly Owner[] | undefined {
  const { managedFields } = asked.metadata;
  if (managedFields === undefined) return undefined;
  delete asked.metadata.managedFields;
  const given = ownersGiven(managedFields);
  if (isStatusWrittenWithTheRest(definition)) return given;
  return given?.filter(({ subresource }) => (subresource === 'status') === (scope === 'status'));
}

/**
 * A body is about the object that the address names, which is what the door let through.
 * What it leaves out or empty is taken from there. Throws 400.
 */
export function requireNamesOfUrl(
  { name, namespace }: { readonly name?: unknown; readonly namespace?: unknown },
  of: { readonly namespace: string; readonly name: string },
): void {
  if (typeof name === 'string' && name !== '' && name !== of.name) {
    throw new StatusError(
      'BadRequest',
      `the name of the object (${name}) does not match the name on the URL (${of.name})`,
    );
  }
  // What has no namespace is in none, whatever a body says.
  if (of.namespace === '' || typeof namespace !== 'string' || namespace === '') return;
  if (namespace !== of.namespace) {
    throw new StatusError(
      'BadRequest',
      `the namespace of the object (${namespace}) does not match the namespace on the request (${of.namespace})`,
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
