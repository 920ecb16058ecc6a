/** POST of a new object. */
import { copyJson, type Uid } from '#base/mod.ts';
import {
  type ApiObject,
  prepareForCreate,
  type ResourceDefinition,
  resourceName,
  StatusError,
} from '#platform/api/mod.ts';
import type { Random } from '#platform/io/mod.ts';
import { admissionOf } from '../admission/admission.ts';
import { authorOf } from '../authorship.ts';
import { requireParsed } from '../body.ts';
import type { ServerParts } from '../dependencies.ts';
import { generatedNameAttemptsMax, generatedNameBaseLengthMax } from '../limits.ts';
import { requireOpenNamespace } from '../namespaces.ts';
import { decodeObject, validateObject, warningHeaders } from '../object-decoding.ts';
import { fieldValidationOf, isDryRun } from '../query.ts';
import { keyOf } from '../reading.ts';
import type { RequestContext, RouteHandler } from '../route-table.ts';
import { settled } from '../settling.ts';
import { type Authorship, commitDraft, draftCreate } from '../writing.ts';
import { objectAnswer } from './read.ts';

export function createHandler(parts: ServerParts, definition: ResourceDefinition): RouteHandler {
  return async (context) => {
    const fieldValidation = fieldValidationOf(context.query);
    const { value, duplicates } = await requireParsed(context.request);
    const { object, warnings } = decodeObject(definition, value, duplicates, fieldValidation);
    const author = authorOf(parts, context, undefined);
    return createObject(parts, definition, context, object, warnings, { author });
  };
}

/** Stores a new object and answers with it. Throws 409 where there is one of its name. */
export async function createObject(
  parts: ServerParts,
  definition: ResourceDefinition,
  context: RequestContext,
  object: ApiObject,
  warnings: readonly string[],
  authorship: Authorship,
): ReturnType<RouteHandler> {
  const namespace = context.parameters['namespace'] ?? '';
  const dryRun = isDryRun(context.query.getAll('dryRun'));
  const admission = admissionOf(parts, definition, context, 'create', undefined, dryRun);
  const uid = parts.random.uuid() as Uid;
  const nowMs = parts.clock.wallMs();
  const suffixes = suffixesFor(object, parts.random);
  const candidates = suffixes.map((generatedSuffix) => {
    const own = suffixes.length === 1 ? object : copyJson(object);
    const given = { uid, nowMs, namespace, generatedSuffix };
    const candidate = prepareForCreate(definition, own, given);
    definition.applyDefaults?.(candidate);
    return admission.shape(candidate, undefined, parts.store);
  });
  const first = candidates[0] ?? object;
  validateObject(definition, first, { operation: 'create', previous: undefined });
  const written = await commitDraft(parts, definition, dryRun, (view) => {
    // Events are in a store of their own; their namespace is in the main one.
    const namespaceView = definition.storage === 'main' ? view : parts.store;
    requireOpenNamespace(parts, definition, namespaceView, namespace, first.metadata.name);
    const free = candidates.find(
      ({ metadata }) => view.get(keyOf(definition, namespace, metadata.name)) === undefined,
    );
    if (free === undefined) throw alreadyExists(definition, first.metadata.name);
    const whole = settled(parts, definition, view, free, undefined);
    const key = keyOf(definition, namespace, free.metadata.name);
    return admission.admit(whole, undefined, view, () =>
      draftCreate(definition, key, uid, whole, authorship),
    );
  });
  context.note.objectName = written.served.object.metadata.name;
  const headers = warningHeaders(warnings.concat(admission.warnings()));
  return objectAnswer(parts, definition, context, 201, written.served, headers);
}

function alreadyExists(definition: ResourceDefinition, name: string): StatusError {
  return new StatusError(
    'AlreadyExists',
    `${resourceName(definition)} ${JSON.stringify(name)} already exists`,
    { kind: definition.plural, group: definition.group, name },
  );
}

/** Letters and digits that cannot be mistaken for each other or spell words. */
const suffixAlphabet = 'bcdfghjklmnpqrstvwxz2456789';
const suffixLength = 5;

/** One candidate for an object with a name; several for one that asks for a generated name. */
function suffixesFor(object: ApiObject, random: Random): readonly string[] {
  const { name, generateName } = object.metadata;
  if ((name ?? '') !== '' || (generateName ?? '') === '') return [''];
  if ((generateName ?? '').length > generatedNameBaseLengthMax) {
    object.metadata.generateName = (generateName ?? '').slice(0, generatedNameBaseLengthMax);
  }
  return Array.from({ length: generatedNameAttemptsMax }, () =>
    Array.from(
      { length: suffixLength },
      () => suffixAlphabet[random.below(suffixAlphabet.length)] ?? 'x',
    ).join(''),
  );
}
