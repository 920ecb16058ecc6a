/** Who set which field of a stored object: the notes of its facets, read with its schema. */
import type { JsonObject } from '#base/mod.ts';
import type { StoredObject } from '#platform/store/mod.ts';
import type { ResourceDefinition } from '../definition.ts';
import { decodeFacet } from '../facets.ts';
import { managedFieldsOf, type Owner, ownersOf, soleManagedFieldsText } from './owners.ts';

/** The facets that are written through the API. */
const notedFacets = ['intent', 'report'] as const;

/** Empty where nobody is known. */
export function managedFieldsOfStored(
  { schema }: ResourceDefinition,
  { facets }: StoredObject,
): JsonObject[] {
  const owners: Owner[] = [];
  for (const name of notedFacets) {
    const facet = facets[name];
    if (facet?.note !== undefined) owners.push(...ownersOf(schema, decodeFacet(facet), facet.note));
  }
  return owners.length === 0 ? [] : managedFieldsOf(owners);
}

/** The same as JSON, sooner where each facet was written by one client alone; empty where nobody is known. */
export function managedFieldsTextOf(definition: ResourceDefinition, stored: StoredObject): string {
  const parts: string[] = [];
  for (const name of notedFacets) {
    const facet = stored.facets[name];
    if (facet?.note === undefined) continue;
    const text = soleManagedFieldsText(definition.schema, decodeFacet(facet), facet.note);
    if (text === undefined) {
      const all = managedFieldsOfStored(definition, stored);
      return all.length === 0 ? '' : JSON.stringify(all);
    }
    parts.push(text);
  }
  return parts.length === 0 ? '' : `[${parts.join(',')}]`;
}
