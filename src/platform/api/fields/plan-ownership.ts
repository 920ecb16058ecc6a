/**
 * What a write does to who owns which field, and what an apply makes of an object.
 *
 * Rules, those of Kubernetes' server-side apply:
 * 1. Who updates takes every field that gets a new value, from all others.
 * 2. Who applies says which fields it cares for. A field that it sets to another value
 *    than its owner did is a conflict, unless it forces; one with the same value is shared.
 * 3. A field that a manager applied and does not name any more goes, unless somebody
 *    else owns it.
 *
 * Invariants: at most `updatersMax` who update are told apart, older ones are one; at
 * most `appliersMax` apply. A write that changes nothing leaves times as they were.
 */
import type { JsonObject } from '#base/mod.ts';
import type { Schema } from '../schema.ts';
import { StatusError } from '../status-error.ts';
import {
  difference,
  equalSets,
  type FieldSet,
  intersection,
  isEmptySet,
  pathsOf,
  union,
} from './field-set.ts';
import {
  allFieldsOf,
  type Author,
  isSameOwner,
  isSoleNoteOf,
  noteOf,
  ownable,
  type OwnedPart,
  type Owner,
  ownersOf,
  ownersOfPart,
  soleNoteOf,
  unknownManager,
} from './owners.ts';
import {
  compareFields,
  fieldsOf,
  mergeApplied,
  unionOf,
  withNamedParents,
  withoutFields,
} from './typed-fields.ts';

const updatersMax = 10;
const appliersMax = 100;
const ancientManager = 'ancient-changes';
/** Conflicts that one answer tells of. */
const conflictsShownMax = 200;

export interface FacetBefore {
  readonly json: JsonObject;
  readonly note: string | undefined;
  /** Of an object whose owners are those of several facets: which of their fields are here. */
  readonly part?: OwnedPart;
}

export interface FacetUpdate {
  readonly schema: Schema;
  readonly apiVersion: string;
  /** Undefined where the facet is new. */
  readonly before: FacetBefore | undefined;
  readonly after: JsonObject;
  readonly author: Author;
}

/** The note of a facet after an update by one author; undefined: it stays as it is. */
export function noteAfterUpdate(update: FacetUpdate): string | undefined {
  const { schema, apiVersion, before, after, author } = update;
  if (before === undefined) return soleNoteOf(author, apiVersion);
  const { json, note } = before;
  if (note === undefined && author.isOwn) return undefined;
  if (note !== undefined && isSoleNoteOf(note, author, apiVersion)) {
    return soleNoteOf(author, apiVersion);
  }
  const owners = knownOwners(schema, apiVersion, before, author.subresource);
  return noteOf(ownersAfterUpdate(schema, apiVersion, owners, json, after, author));
}

/** The owners that there are; where none was ever known, one that stands for all of them. */
export function knownOwners(
  schema: Schema,
  apiVersion: string,
  { json, note, part }: FacetBefore,
  subresource: string,
): readonly Owner[] {
  if (note !== undefined) {
    const owners = ownersOf(schema, json, note);
    return part === undefined ? owners : ownersOfPart(owners, part);
  }
  const fields = allFieldsOf(schema, json);
  if (isEmptySet(fields)) return [];
  const kept = subresource === 'status' ? subresource : '';
  const unknown = { manager: unknownManager, operation: 'Update' as const, seconds: 0 };
  return [{ ...unknown, apiVersion, subresource: kept, fields }];
}

export function ownersAfterUpdate(
  schema: Schema,
  apiVersion: string,
  owners: readonly Owner[],
  before: JsonObject,
  after: JsonObject,
  author: Author,
): readonly Owner[] {
  const compared = compareFields(schema, before, after);
  const changed = ownable(compared.changed);
  const touched = union(changed, ownable(compared.removed));
  if (isEmptySet(touched)) return owners;
  const { manager, subresource, seconds } = author;
  const identity = { manager, operation: 'Update' as const, apiVersion, seconds, subresource };
  const kept = without(owners, touched);
  const mine = kept.find((owner) => isSameOwner(owner, identity));
  const fields = mine === undefined ? changed : union(mine.fields, changed);
  const others = kept.filter((owner) => owner !== mine);
  return capped(isEmptySet(fields) ? others : [...others, { ...identity, fields }]);
}

function without(owners: readonly Owner[], fields: FieldSet): Owner[] {
  return owners
    .map((owner) => ({ ...owner, fields: difference(owner.fields, fields) }))
    .filter((owner) => !isEmptySet(owner.fields));
}

/** The oldest who update become one, where there are too many to tell apart. */
function capped(owners: readonly Owner[]): readonly Owner[] {
  const updaters = owners.filter(({ operation }) => operation === 'Update');
  if (updaters.length <= updatersMax) return owners;
  const byAge = updaters.toSorted((left, right) => left.seconds - right.seconds);
  const ancient = byAge.slice(0, updaters.length - updatersMax + 1);
  const newest = ancient.at(-1);
  if (newest === undefined) return owners;
  const merged: Owner = {
    ...newest,
    manager: ancientManager,
    fields: unionOf(ancient.map(({ fields }) => fields)),
  };
  return [...owners.filter((owner) => !ancient.includes(owner)), merged];
}

export interface ApplyRequest {
  readonly schema: Schema;
  readonly apiVersion: string;
  /** The object as it is served; undefined where there is none yet. */
  readonly live: JsonObject | undefined;
  readonly owners: readonly Owner[];
  /** What the manager wants, and nothing else: no defaults. */
  readonly applied: JsonObject;
  readonly author: Author;
  readonly force: boolean;
  /** Fields that may be taken over without force. */
  readonly free: FieldSet;
}

export interface AppliedObject {
  readonly object: JsonObject;
  readonly owners: readonly Owner[];
}

/** Throws StatusError 409 with a cause per field that another manager has set otherwise. */
export function planApply(request: ApplyRequest): AppliedObject {
  const { schema, apiVersion, live, applied, author, force, free } = request;
  const { manager, subresource, seconds } = author;
  const identity = { manager, operation: 'Apply' as const, apiVersion, seconds, subresource };
  const before = request.owners.find((owner) => isSameOwner(owner, identity));
  const others = request.owners.filter((owner) => owner !== before);
  const named = fieldsOf(schema, applied);
  const fields = ownable(named);
  if (live === undefined) return { object: applied, owners: withApplier([], identity, fields) };

  const merged = mergeApplied(schema, live, applied);
  const held = unionOf([named, ...others.map((owner) => owner.fields)]);
  const gone =
    before === undefined
      ? undefined
      : difference(withNamedParents(schema, before.fields), withNamedParents(schema, held));
  const object = (
    gone === undefined ? merged : (withoutFields(schema, merged, gone) ?? {})
  ) as JsonObject;
  const compared = compareFields(schema, live, object);
  const changed = ownable(compared.changed);
  const removed = ownable(compared.removed);
  const conflicts = others
    .map((owner) => ({ owner, fields: intersection(owner.fields, changed) }))
    .filter((conflict) => !isEmptySet(conflict.fields));
  if (!force) refuseConflicts(conflicts, free);
  const isSame =
    before !== undefined &&
    equalSets(before.fields, fields) &&
    isEmptySet(changed) &&
    isEmptySet(removed);
  const taken = union(removed, unionOf(conflicts.map((conflict) => conflict.fields)));
  const kept = without(others, taken);
  return {
    object,
    owners: withApplier(kept, isSame ? { ...identity, seconds: before.seconds } : identity, fields),
  };
}

function withApplier(
  owners: readonly Owner[],
  identity: Omit<Owner, 'fields'>,
  fields: FieldSet,
): readonly Owner[] {
  if (isEmptySet(fields)) return owners;
  const appliers = owners.filter(({ operation }) => operation === 'Apply').length;
  if (appliers >= appliersMax) {
    throw new StatusError(
      'BadRequest',
      `${appliersMax} field managers apply this object, which is the most: let one of them apply ` +
        'an empty object, or use the name of one of them',
    );
  }
  return [...owners, { ...identity, fields }];
}

interface OwnerConflict {
  readonly owner: Owner;
  readonly fields: FieldSet;
}

function refuseConflicts(conflicts: readonly OwnerConflict[], free: FieldSet): void {
  const found = conflicts.flatMap(({ owner, fields }) =>
    pathsOf(difference(fields, free)).map((path) => ({ who: shownOwner(owner), path })),
  );
  const [first] = found;
  if (first === undefined) return;
  const causes = found.slice(0, conflictsShownMax).map(({ who, path }) => ({
    reason: 'FieldManagerConflict',
    message: `conflict with ${who}`,
    field: path,
  }));
  throw new StatusError('Conflict', conflictText(found), { causes });
}

function conflictText(found: readonly { readonly who: string; readonly path: string }[]): string {
  const [first] = found;
  if (first !== undefined && found.length === 1) {
    return `Apply failed with 1 conflict: conflict with ${first.who}: ${first.path}`;
  }
  const shown = found.slice(0, conflictsShownMax);
  const lines = [...new Set(shown.map(({ who }) => who))]
    .sort()
    .flatMap((who) => [
      `conflicts with ${who}:`,
      ...shown.filter((one) => one.who === who).map(({ path }) => `- ${path}`),
    ]);
  return `Apply failed with ${found.length} conflicts: ${lines.join('\n')}`;
}

/** `"kubectl-edit" using apps/v1`, as Kubernetes words it. */
function shownOwner({ manager, operation, apiVersion, subresource }: Owner): string {
  const where = subresource === '' ? '' : ` with subresource ${JSON.stringify(subresource)}`;
  const how = operation === 'Update' ? ` using ${apiVersion}` : '';
  return `${JSON.stringify(manager)}${where}${how}`;
}
