/** How an object is to be deleted: the DeleteOptions of a body, or of the query. */
import { isJsonObject, type Json, type JsonObject } from '#base/mod.ts';
import { StatusError } from '#platform/api/mod.ts';
import type { HttpRequest } from '#platform/io/mod.ts';
import { readParsed } from './body.ts';
import { isDryRun } from './query.ts';

export type PropagationPolicy = 'Foreground' | 'Background' | 'Orphan';

export interface DeletionRequest {
  readonly dryRun: boolean;
  /** As asked, however long that is; undefined where the client leaves it to the kind. */
  readonly gracePeriodSeconds: number | undefined;
  readonly propagationPolicy: PropagationPolicy;
  readonly uid: string | undefined;
  readonly resourceVersion: string | undefined;
}

const knownFields = new Set([
  'kind',
  'apiVersion',
  'gracePeriodSeconds',
  'preconditions',
  'orphanDependents',
  'propagationPolicy',
  'dryRun',
  'ignoreStoreReadErrorWithClusterBreakingPotential',
]);

export async function deletionRequestOf(
  request: HttpRequest,
  query: URLSearchParams,
): Promise<DeletionRequest> {
  const parsed = await readParsed(request);
  const value = parsed?.value ?? {};
  if (!isJsonObject(value)) throw new StatusError('BadRequest', 'DeleteOptions must be an object');
  const { kind } = value;
  if (kind !== undefined && kind !== 'DeleteOptions') {
    throw new StatusError(
      'BadRequest',
      `the body of a deletion is DeleteOptions, not ${shown(kind)}`,
    );
  }
  return deletionRequest(value, query);
}

/** `options` is a DeleteOptions object; what it leaves out is taken from the query. */
export function deletionRequest(options: JsonObject, query: URLSearchParams): DeletionRequest {
  for (const name of Object.keys(options)) {
    if (!knownFields.has(name)) {
      throw new StatusError('BadRequest', `DeleteOptions has no field ${shown(name)}`);
    }
  }
  const { dryRun } = options;
  const preconditions = options['preconditions'] ?? {};
  if (!isJsonObject(preconditions)) {
    throw new StatusError('BadRequest', 'preconditions must be an object');
  }
  return {
    dryRun: isDryRun([...listOf(dryRun), ...query.getAll('dryRun')]),
    gracePeriodSeconds: graceOf(options['gracePeriodSeconds'] ?? query.get('gracePeriodSeconds')),
    propagationPolicy: policyOf(options, query),
    uid: textOf('preconditions.uid', preconditions['uid']),
    resourceVersion: textOf('preconditions.resourceVersion', preconditions['resourceVersion']),
  };
}

function policyOf(options: JsonObject, query: URLSearchParams): PropagationPolicy {
  const orphan = options['orphanDependents'] ?? query.get('orphanDependents');
  if (orphan === true || orphan === 'true') return 'Orphan';
  const policy = options['propagationPolicy'] ?? query.get('propagationPolicy') ?? 'Background';
  if (policy === 'Foreground' || policy === 'Background' || policy === 'Orphan') return policy;
  throw new StatusError(
    'BadRequest',
    `propagationPolicy is "Foreground", "Background" or "Orphan", not ${shown(policy)}`,
  );
}

const int64Max = 2 ** 63;

function graceOf(value: Json): number | undefined {
  if (value === null || value === undefined) return undefined;
  const seconds = typeof value === 'string' && /^\d{1,19}$/.test(value) ? Number(value) : value;
  if (
    typeof seconds !== 'number' ||
    !Number.isInteger(seconds) ||
    seconds < 0 ||
    seconds > int64Max
  ) {
    throw new StatusError(
      'BadRequest',
      'gracePeriodSeconds must be a whole number of 64 bits, and not negative',
    );
  }
  return seconds;
}

function listOf(value: Json | undefined): readonly string[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new StatusError('BadRequest', 'dryRun must be a list');
  return value.map((entry) => (typeof entry === 'string' ? entry : shown(entry)));
}

function textOf(field: string, value: Json | undefined): string | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value === 'string') return value;
  throw new StatusError('BadRequest', `${field} must be a string`);
}

function shown(value: Json): string {
  return JSON.stringify(value).slice(0, 64);
}
