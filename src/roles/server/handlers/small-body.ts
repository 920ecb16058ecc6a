/** Bodies of requests that are no objects of the API: a few named fields, read strictly. */
import { isJsonObject, type JsonObject } from '#base/mod.ts';
import { StatusError } from '#platform/api/mod.ts';
import type { HttpRequest } from '#platform/io/mod.ts';
import { requireParsed } from '../body.ts';

const shownNameLengthMax = 64;

/**
 * The body with these fields and no others. Throws 400, also where the query asks for a
 * trial: none of these requests has one, and what only tries must never take effect.
 */
export async function fieldsOf(
  request: HttpRequest,
  fields: readonly string[],
): Promise<JsonObject> {
  if (new URLSearchParams(request.query).has('dryRun')) {
    throw new StatusError(
      'BadRequest',
      'dryRun in the query is not supported by this request, which would take effect: leave it out',
    );
  }
  const { value, duplicates } = await requireParsed(request);
  if (!isJsonObject(value) || duplicates.length > 0) {
    throw new StatusError('BadRequest', 'the body must be an object that names each field once');
  }
  const known = new Set([...fields, 'kind', 'apiVersion', 'metadata']);
  for (const name of Object.keys(value)) {
    if (!known.has(name)) {
      throw new StatusError(
        'BadRequest',
        `unknown field ${JSON.stringify(name.slice(0, shownNameLengthMax))}: the body takes ${fields.join(' and ')}`,
      );
    }
  }
  return value;
}

/** Throws 400 where the field is not a text with something in it. */
export function requiredText(body: JsonObject, field: string): string {
  const value = body[field];
  if (typeof value === 'string' && value !== '') return value;
  throw new StatusError('BadRequest', `${field} is required, as a string`);
}
