/**
 * Changes to one object, decided inside a transaction of its store.
 *
 * Invariants:
 * 1. What a user writes changes the facets that users own; the others stay as
 *    they were, byte for byte.
 * 2. A change that changes nothing writes nothing: the resourceVersion stays. The order
 *    of an object's keys and of its owners, and the time of an owner, are nothing.
 * 3. A dry run takes the same decision and throws the changes away.
 */
import type { Revision, Uid } from '#base/mod.ts';
import { equalBytes, type JsonObject } from '#base/mod.ts';
import {
  type ApiObject,
  apiVersionOf,
  areSameOwners,
  type Author,
  decodeFacet,
  encodeFacet,
  equalJson,
  facetBefore,
  facetsOf,
  foldObject,
  isStatusWrittenWithTheRest,
  knownOwners,
  noteAfterUpdate,
  noteOf,
  type NotedFacet,
  type Owner,
  ownersAfterUpdate,
  ownersForNote,
  ownersOfWritten,
  ownTheSame,
  type ResourceDefinition,
  soleNoteOf,
} from '#platform/api/mod.ts';
import type {
  Change,
  Facet,
  FacetValue,
  ObjectKey,
  StoredObject,
  StoreView,
  Transaction,
} from '#platform/store/mod.ts';
import { type ServerParts, storeOf } from './dependencies.ts';
import { serve, type ServedObject } from './served-objects.ts';

/** What a transaction makes of one object, before its revision is known. */
export interface Draft {
  readonly outcome: 'created' | 'updated' | 'unchanged' | 'removed';
  /** The state to answer with; facets that changed carry no revision of their own yet. */
  readonly stored: StoredObject;
}

/** Facets that a write of the main object, or of its status, may change. */
export type FacetScope = 'create' | 'main' | 'status';

/** Who writes, for the record of who set which field. */
export interface Authorship {
  readonly author: Author;
  /** After the write, where that does not follow from what it changes: an apply. */
  readonly owners?: readonly Owner[];
  /** Owners that the client sent, in place of those that were; none: forget all. */
  readonly given?: readonly Owner[];
}

/** Without an author, or by a part of the server, the new object's fields are nobody's. */
export function draftCreate(
  definition: ResourceDefinition,
  key: ObjectKey,
  uid: Uid,
  object: ApiObject,
  authorship?: Authorship,
): Transaction<Draft> {
  const written = facetsOf(definition, object);
  const ownsStatus = isStatusWrittenWithTheRest(definition);
  const facets: Partial<Record<Facet, FacetValue>> = {};
  const changes: Change[] = [];
  for (const { facet, bytes, json } of written) {
    const isNoted = facet === 'intent' || (facet === 'report' && ownsStatus);
    const note = isNoted ? noteOfNew(definition, facet, authorship) : undefined;
    const noted = note === undefined ? {} : { note };
    facets[facet] = { revision: 0 as Revision, bytes, decoded: json, ...noted };
    changes.push({ type: 'put', key, uid, facet, bytes, decoded: json, ...noted });
  }
  const stored = { key, uid, createdRevision: 0 as Revision, revision: 0 as Revision, facets };
  return { changes, result: { outcome: 'created', stored } };
}

function noteOfNew(
  definition: ResourceDefinition,
  facet: NotedFacet,
  authorship: Authorship | undefined,
): string | undefined {
  if (authorship === undefined || authorship.author.isOwn) return undefined;
  const { author, owners } = authorship;
  if (owners === undefined) return soleNoteOf(author, apiVersionOf(definition));
  return noteOf(ownersForNote(definition, facet, owners));
}

/**
 * `object` is the whole object as it should be; only the facets of `scope` are taken from
 * it. Without an author the fields stay whose they were.
 */
export function draftUpdate(
  definition: ResourceDefinition,
  previous: StoredObject,
  object: ApiObject,
  scope: FacetScope,
  authorship?: Authorship,
): Transaction<Draft> {
  const { key, uid } = previous;
  const facets: Partial<Record<Facet, FacetValue>> = { ...previous.facets };
  const changes: Change[] = [];
  const written = facetsOf(definition, object);
  const ownsStatus = scope === 'main' && isStatusWrittenWithTheRest(definition);
  if (ownsStatus && facets.report !== undefined && object.status === undefined) {
    written.push({ facet: 'report', json: {}, bytes: encodeFacet({}) });
  }
  for (const { facet, bytes, json } of written) {
    const owned = scope === 'main' ? 'intent' : 'report';
    if (facet !== owned && !(ownsStatus && facet === 'report')) continue;
    const before = previous.facets[facet];
    const isSame = before !== undefined && saysTheSame(before, bytes, json);
    const after = isSame ? undefined : json;
    const note =
      authorship === undefined
        ? undefined
        : noteAfter(definition, previous, facet, after, authorship);
    const noteBefore = before?.note ?? '';
    if (isSame && (note ?? noteBefore) === noteBefore) continue;
    const kept = note ?? noteBefore;
    const value = isSame
      ? { bytes: before.bytes, decoded: decodeFacet(before) }
      : { bytes, decoded: json };
    facets[facet] = {
      ...{ revision: previous.revision, ...value },
      ...(kept === '' ? {} : { note: kept }),
    };
    changes.push({
      ...{ type: 'put', key, uid, facet, ...value },
      ...(note === undefined ? {} : { note }),
    });
  }
  const outcome = changes.length === 0 ? 'unchanged' : 'updated';
  return { changes, result: { outcome, stored: { ...previous, facets } } };
}

/** Another order of keys takes as many bytes: of what has another length nothing is compared. */
function saysTheSame(before: FacetValue, bytes: Uint8Array, json: JsonObject): boolean {
  if (before.bytes.length !== bytes.length) return false;
  return equalBytes(before.bytes, bytes) || equalJson(decodeFacet(before), json);
}

/** `after` is undefined where the facet keeps its value. Undefined: the note stays. */
function noteAfter(
  definition: ResourceDefinition,
  previous: StoredObject,
  facet: NotedFacet,
  after: JsonObject | undefined,
  { author, owners, given }: Authorship,
): string | undefined {
  const { schema } = definition;
  const apiVersion = apiVersionOf(definition);
  const value = previous.facets[facet];
  const before = value === undefined ? undefined : facetBefore(definition, facet, value);
  if (owners !== undefined) {
    const own = ownersForNote(definition, facet, owners);
    if (after !== undefined || before === undefined) return noteOf(own);
    const known = knownOwners(schema, apiVersion, before, author.subresource);
    return ownTheSame(known, own) ? undefined : noteOf(own);
  }
  if (given !== undefined && before !== undefined) {
    // Of what nobody is known to own, there is no owner to send back.
    if (!areSameOwners(ownersOfWritten(definition, previous, facet), given)) {
      const own = ownersForNote(definition, facet, given);
      if (after === undefined || given.length === 0) return noteOf(own);
      return noteOf(ownersAfterUpdate(schema, apiVersion, own, before.json, after, author));
    }
  }
  if (after === undefined) return undefined;
  if (author.isOwn && !isTracked(previous)) return undefined;
  return noteAfterUpdate({ schema, apiVersion, before, after, author });
}

/** Whether anybody outside has written the object. */
function isTracked({ facets }: StoredObject): boolean {
  return Object.values(facets).some(({ note }) => note !== undefined);
}

export function draftRemove(previous: StoredObject): Transaction<Draft> {
  const { key, uid } = previous;
  return {
    changes: [{ type: 'delete', key, uid }],
    result: { outcome: 'removed', stored: previous },
  };
}

export interface Written {
  readonly outcome: Draft['outcome'];
  /** As served, at the revision of the change; shared with the watches that tell of it. */
  readonly served: ServedObject;
}

/** Decides and commits, or only decides where `dryRun`. */
export async function commitDraft(
  parts: ServerParts,
  definition: ResourceDefinition,
  dryRun: boolean,
  decide: (view: StoreView) => Transaction<Draft>,
): Promise<Written> {
  const store = storeOf(parts, definition);
  if (dryRun) {
    const { outcome, stored } = decide(store).result;
    const object = foldObject(definition, stored);
    if (outcome === 'created') delete object.metadata.resourceVersion;
    return { outcome, served: serve(object, { definition, stored }) };
  }
  const { revision, result } = await store.transact(decide);
  const { outcome, stored } = result;
  const at = outcome === 'unchanged' ? stored : { ...stored, revision };
  const newest = outcome === 'removed' ? undefined : store.get(stored.key);
  const isThisChange = newest?.uid === at.uid && newest.revision === at.revision;
  const served = isThisChange
    ? parts.served.of(definition, newest)
    : serve(foldObject(definition, at), { definition, stored: at });
  return { outcome, served };
}
