/**
 * Who set which field of a stored object: the notes of its facets, read with its schema.
 *
 * Invariant: the note of a facet is about the fields of that facet, and about no others,
 * also where one write is of several.
 */
import type { JsonObject } from '#base/mod.ts';
import type { FacetValue, StoredObject } from '#platform/store/mod.ts';
import type { ResourceDefinition } from '../definition.ts';
import { decodeFacet } from '../facets.ts';
import { apiVersionOf } from '../registry.ts';
import {
  isSoleNoteOfStatus,
  managedFieldsOf,
  type OwnedPart,
  type Owner,
  ownersOfPart,
  soleManagedFieldsText,
  withoutDuplicates,
} from './owners.ts';
import { type FacetBefore, knownOwners } from './plan-ownership.ts';

/** The facets that are written through the API. */
const notedFacets = ['intent', 'report'] as const;
export type NotedFacet = (typeof notedFacets)[number];

/** As in declared kinds that have no status subresource. */
export function isStatusWrittenWithTheRest({
  declared,
  subresources,
}: ResourceDefinition): boolean {
  return declared !== undefined && !subresources.includes('status');
}

function partOf(definition: ResourceDefinition, facet: NotedFacet): OwnedPart | undefined {
  if (!isStatusWrittenWithTheRest(definition)) return undefined;
  return facet === 'report' ? 'status' : 'rest';
}

/** What a facet was before it is written, with what its note says of it. */
export function facetBefore(
  definition: ResourceDefinition,
  facet: NotedFacet,
  value: FacetValue,
): FacetBefore {
  const part = partOf(definition, facet);
  const before = { json: decodeFacet(value), note: value.note };
  return part === undefined ? before : { ...before, part };
}

/** Of the owners of what one request writes, those who belong into the note of this facet. */
export function ownersForNote(
  definition: ResourceDefinition,
  facet: NotedFacet,
  owners: readonly Owner[],
): readonly Owner[] {
  const part = partOf(definition, facet);
  return part === undefined ? owners : ownersOfPart(owners, part);
}

/** Who is known to own something of what a request writes that is about this facet. */
export function ownersOfWritten(
  definition: ResourceDefinition,
  { facets }: StoredObject,
  facet: NotedFacet,
): readonly Owner[] {
  return ownersOfFacets(definition, facets, facetsWrittenWith(definition, facet));
}

/** The same; what was there before anybody was known is that of one who stands for all of them. */
export function ownersForApply(
  definition: ResourceDefinition,
  { facets }: StoredObject,
  facet: NotedFacet,
  subresource: string,
): readonly Owner[] {
  const owners = facetsWrittenWith(definition, facet).flatMap((name) => {
    const value = facets[name];
    if (value === undefined) return [];
    const before = facetBefore(definition, name, value);
    return knownOwners(definition.schema, apiVersionOf(definition), before, subresource);
  });
  return withoutDuplicates(owners);
}

function facetsWrittenWith(
  definition: ResourceDefinition,
  facet: NotedFacet,
): readonly NotedFacet[] {
  return isStatusWrittenWithTheRest(definition) ? notedFacets : [facet];
}

function ownersOfFacets(
  definition: ResourceDefinition,
  facets: StoredObject['facets'],
  names: readonly NotedFacet[],
): readonly Owner[] {
  const apiVersion = apiVersionOf(definition);
  const owners = names.flatMap((name) => {
    const value = facets[name];
    if (value?.note === undefined) return [];
    return knownOwners(definition.schema, apiVersion, facetBefore(definition, name, value), '');
  });
  return withoutDuplicates(owners);
}

/** Empty where nobody is known. */
export function managedFieldsOfStored(
  definition: ResourceDefinition,
  { facets }: StoredObject,
): JsonObject[] {
  return managedFieldsOf(ownersOfFacets(definition, facets, notedFacets));
}

/** The same as JSON, sooner where each facet was written by one client alone; empty where nobody is known. */
export function managedFieldsTextOf(definition: ResourceDefinition, stored: StoredObject): string {
  const parts: string[] = [];
  for (const name of notedFacets) {
    const facet = stored.facets[name];
    if (facet?.note === undefined) continue;
    // Who wrote something of both facets is shown once.
    const isApart = parts.length === 0 || isSoleNoteOfStatus(facet.note);
    const text = isApart
      ? soleManagedFieldsText(definition.schema, decodeFacet(facet), facet.note)
      : undefined;
    if (text === undefined) {
      const all = managedFieldsOfStored(definition, stored);
      return all.length === 0 ? '' : JSON.stringify(all);
    }
    parts.push(text);
  }
  return parts.length === 0 ? '' : `[${parts.join(',')}]`;
}
