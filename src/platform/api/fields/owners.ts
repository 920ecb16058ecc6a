/**
 * Who set which field of an object: what `metadata.managedFields` shows, and the text
 * in which it is kept as the note of a facet.
 *
 * Invariants:
 * 1. Everybody who writes is known by manager, operation and subresource; those who
 *    update, as opposed to apply, also by the version that they wrote.
 * 2. Whoever wrote a facet alone is kept as a name, which stands for all of its
 *    fields; sets are made where somebody else writes too, or somebody reads.
 * 3. What the server itself sets belongs to nobody.
 * 4. Owners that are read are told apart: where one is named twice, it is one that has
 *    the fields of both.
 */
import { isJsonObject, type Json, type JsonObject } from '#base/mod.ts';
import { timestampOf } from '#platform/io/mod.ts';
import { wallMsOf } from '../age-text.ts';
import type { Schema } from '../schema.ts';
import { StatusError } from '../status-error.ts';
import {
  difference,
  emptySet,
  equalSets,
  type FieldSet,
  fieldsV1Of,
  isEmptySet,
  leafSet,
  readFieldsV1,
  setOf,
  union,
} from './field-set.ts';
import { alongSchema, fieldsOf, fieldsText } from './typed-fields.ts';

export interface Owner {
  readonly manager: string;
  readonly operation: 'Apply' | 'Update';
  readonly apiVersion: string;
  /** Wall time in whole seconds; 0 where it is not known. */
  readonly seconds: number;
  /** Empty for the object itself. */
  readonly subresource: string;
  readonly fields: FieldSet;
}

/** Who makes a change, and when. */
export interface Author {
  readonly manager: string;
  readonly subresource: string;
  readonly seconds: number;
  /** A part of the server: its objects are not tracked until somebody else writes them. */
  readonly isOwn: boolean;
}

/** More than an object ever has: what a client sends back it was shown. */
const ownersGivenMax = 256;

/** Owner of what was there before anybody was known to have set it. */
export const unknownManager = 'before-first-apply';

const metadataOfServer = [
  'name',
  'namespace',
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'selfLink',
  'managedFields',
];
const setByServer = setOf(
  false,
  new Map([
    ['f:apiVersion', leafSet],
    ['f:kind', leafSet],
    ['f:metadata', setOf(true, new Map(metadataOfServer.map((name) => [`f:${name}`, leafSet])))],
  ]),
);

/** The set without what no client owns: type, identity, and what the server counts. */
export function ownable(set: FieldSet): FieldSet {
  return difference(set, setByServer);
}

/** What somebody owns who wrote all of a facet. */
export function allFieldsOf(schema: Schema, facet: JsonObject): FieldSet {
  return ownable(fieldsOf(schema, facet, true));
}

export function isSameOwner(left: Omit<Owner, 'fields'>, right: Omit<Owner, 'fields'>): boolean {
  return (
    left.manager === right.manager &&
    left.operation === right.operation &&
    left.subresource === right.subresource &&
    (left.operation === 'Apply' || left.apiVersion === right.apiVersion)
  );
}

/** The same owners with each of them once, at the latest time and in the version of then. */
export function withoutDuplicates(owners: readonly Owner[]): readonly Owner[] {
  const distinct = new Map<string, Owner>();
  for (const owner of owners) {
    const { manager, operation, apiVersion, subresource } = owner;
    const version = operation === 'Apply' ? '' : apiVersion;
    const identity = JSON.stringify([manager, operation, version, subresource]);
    const known = distinct.get(identity);
    if (known === undefined) {
      distinct.set(identity, owner);
      continue;
    }
    const newest = owner.seconds > known.seconds ? owner : known;
    distinct.set(identity, { ...newest, fields: union(known.fields, owner.fields) });
  }
  return distinct.size === owners.length ? owners : [...distinct.values()];
}

/** A half of an object that is written as a whole and kept as two facets. */
export type OwnedPart = 'status' | 'rest';

const statusElement = 'f:status';

/** Who owns anything in that part, and what of it. Who owns nothing at all is with the rest. */
export function ownersOfPart(owners: readonly Owner[], part: OwnedPart): readonly Owner[] {
  return owners.flatMap((owner) => {
    const { isMember, children } = owner.fields;
    const kept = [...children].filter(
      ([element]) => (element === statusElement) === (part === 'status'),
    );
    const fields = setOf(isMember && part === 'rest', new Map(kept));
    const isIn =
      part === 'status' ? !isEmptySet(fields) : fields.children.size > 0 || children.size === 0;
    return isIn ? [{ ...owner, fields }] : [];
  });
}

/** Whether both say the same, in whichever order. */
export function areSameOwners(left: readonly Owner[], right: readonly Owner[]): boolean {
  return areAlike(left, right, (owner, other) => owner.seconds === other.seconds);
}

/** Whether both say the same but for when it was written, in whichever order. */
export function ownTheSame(left: readonly Owner[], right: readonly Owner[]): boolean {
  return areAlike(left, right, () => true);
}

function areAlike(
  left: readonly Owner[],
  right: readonly Owner[],
  isAlikeToo: (owner: Owner, other: Owner) => boolean,
): boolean {
  return (
    left.length === right.length &&
    left.every((owner) =>
      right.some(
        (other) =>
          isSameOwner(owner, other) &&
          owner.apiVersion === other.apiVersion &&
          isAlikeToo(owner, other) &&
          equalSets(owner.fields, other.fields),
      ),
    )
  );
}

/** manager, A or U, seconds, version, subresource, fields; the last two left out where empty. */
type KeptOwner = [string, 'A' | 'U', number, string, string?, JsonObject?];

/** The note of a facet that one author wrote alone. */
export function soleNoteOf(author: Author, apiVersion: string): string {
  const [before, after] = aroundTime(author, apiVersion);
  return `${before}${author.seconds}${after}`;
}

/** A sole note is made, and known again, as text: most writes only put another time into it. */
function aroundTime(
  { manager, subresource }: Author,
  apiVersion: string,
): readonly [before: string, after: string] {
  const where = subresource === '' ? '' : `,${JSON.stringify(subresource)}`;
  return [`[[${JSON.stringify(manager)},"U",`, `,${JSON.stringify(apiVersion)}${where}]]`];
}

/** Only the fields of an owner make a note longer than this. */
const soleNoteLengthMax = 2048;

export function noteOf(owners: readonly Owner[]): string {
  if (owners.length === 0) return '';
  return JSON.stringify(
    owners.map(({ manager, operation, seconds, apiVersion, subresource, fields }) => [
      manager,
      operation === 'Apply' ? 'A' : 'U',
      seconds,
      apiVersion,
      subresource,
      fieldsV1Of(fields),
    ]),
  );
}

/** Whether the note says that this author, and nobody else, wrote the facet. */
export function isSoleNoteOf(note: string, author: Author, apiVersion: string): boolean {
  const [before, after] = aroundTime(author, apiVersion);
  const time = note.slice(before.length, -after.length);
  return note.startsWith(before) && note.endsWith(after) && /^\d+$/.test(time);
}

/** Whether one author alone wrote the facet, through the status endpoint. */
export function isSoleNoteOfStatus(note: string): boolean {
  return note.endsWith(',"status"]]');
}

/**
 * What is shown of a facet that one owner wrote alone, as text and without the sets
 * between; undefined where the note says anything else.
 */
export function soleManagedFieldsText(
  schema: Schema,
  facet: JsonObject,
  note: string,
): string | undefined {
  if (note.length > soleNoteLengthMax) return undefined;
  if (lastSole.note !== note) lastSole = { note, head: soleHeadOf(note) };
  const { head } = lastSole;
  if (head === undefined) return undefined;
  return `${head},"fieldsV1":${fieldsText(schema, withoutSetByServer(facet))}}`;
}

/** What one client writes within a second has the same note. */
let lastSole: { readonly note: string; readonly head: string | undefined } = {
  note: '',
  head: undefined,
};

function soleHeadOf(note: string): string | undefined {
  const [only, ...others] = JSON.parse(note) as KeptOwner[];
  if (only === undefined || others.length > 0 || only[5] !== undefined) return undefined;
  const [manager, , seconds, apiVersion, subresource = ''] = only;
  const owner = { manager, operation: 'Update' as const, apiVersion, seconds, subresource };
  const { fieldsV1: _none, ...shown } = shownOf({ ...owner, fields: emptySet });
  return JSON.stringify(shown).slice(0, -1);
}

function withoutSetByServer({ apiVersion: _type, kind: _kind, ...kept }: JsonObject): JsonObject {
  const { metadata } = kept;
  if (!isJsonObject(metadata)) return kept;
  const left = Object.keys(metadata).filter((name) => !metadataOfServer.includes(name));
  delete kept['metadata'];
  if (left.length === 0) return kept;
  const own: JsonObject = {};
  for (const name of left) own[name] = metadata[name] ?? null;
  return { metadata: own, ...kept };
}

/** The owners that a note of ours names, with their fields as the schema divides them. */
export function ownersOf(
  schema: Schema,
  facet: JsonObject,
  note: string | undefined,
): readonly Owner[] {
  if (note === undefined || note === '') return [];
  const owners = (JSON.parse(note) as KeptOwner[]).map(
    ([manager, operation, seconds, apiVersion, subresource = '', fields]): Owner => ({
      manager,
      operation: operation === 'A' ? 'Apply' : 'Update',
      seconds,
      apiVersion,
      subresource,
      fields:
        fields === undefined
          ? allFieldsOf(schema, facet)
          : alongSchema(schema, readFieldsV1(fields) ?? emptySet),
    }),
  );
  return withoutDuplicates(owners);
}

/** In the order in which they are shown: who applies first, then by time and name. */
export function managedFieldsOf(owners: readonly Owner[]): JsonObject[] {
  return owners
    .toSorted(
      (left, right) =>
        compareText(left.operation, right.operation) ||
        left.seconds - right.seconds ||
        compareText(left.manager, right.manager) ||
        compareText(left.apiVersion, right.apiVersion) ||
        compareText(left.subresource, right.subresource),
    )
    .map(shownOf);
}

function shownOf(owner: Owner): JsonObject {
  const { manager, operation, apiVersion, seconds, subresource, fields } = owner;
  return {
    manager,
    operation,
    apiVersion,
    ...(seconds === 0 ? {} : { time: timestampOf(seconds * 1000) }),
    fieldsType: 'FieldsV1',
    fieldsV1: fieldsV1Of(fields),
    ...(subresource === '' ? {} : { subresource }),
  };
}

function compareText(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

/**
 * What a client sends as `metadata.managedFields`: owners in place of those that there
 * are, none at all to begin anew, or undefined where the present ones stay: nothing was
 * sent, or what was sent cannot be read. Throws StatusError 413.
 *
 * An empty list begins anew just as one empty entry does. The documentation of Kubernetes
 * says that it does not; its server does so since 1.19, and its own tests hold it to that.
 */
export function ownersGiven(value: Json | undefined): readonly Owner[] | undefined {
  if (!Array.isArray(value)) return undefined;
  if (value.length > ownersGivenMax) {
    throw new StatusError(
      'RequestEntityTooLarge',
      `metadata.managedFields has ${value.length} entries; the limit is ${ownersGivenMax}`,
    );
  }
  const [first] = value;
  const isReset = value.length === 1 && isJsonObject(first) && Object.keys(first).length === 0;
  if (isReset) return [];
  const owners = value.map(ownerGiven);
  return owners.every((owner) => owner !== undefined) ? withoutDuplicates(owners) : undefined;
}

function ownerGiven(entry: Json): Owner | undefined {
  if (!isJsonObject(entry)) return undefined;
  const { manager = '', operation, apiVersion, time, subresource = '', fieldsV1 } = entry;
  const fields = readFieldsV1(fieldsV1 ?? {});
  if (typeof manager !== 'string' || typeof apiVersion !== 'string') return undefined;
  if (typeof subresource !== 'string' || fields === undefined) return undefined;
  if (operation !== 'Apply' && operation !== 'Update') return undefined;
  const wallMs = typeof time === 'string' ? wallMsOf(time) : 0;
  if (wallMs === undefined) return undefined;
  return {
    manager,
    operation,
    apiVersion,
    seconds: Math.floor(wallMs / 1000),
    subresource,
    fields,
  };
}
