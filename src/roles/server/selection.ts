/** Which objects a list, watch or deletecollection is about: labels and fields of its query. */
import {
  type ApiObject,
  type FieldSelector,
  matchesFields,
  matchesLabels,
  parseFieldSelector,
  parseLabelSelector,
  type ResourceDefinition,
  StatusError,
} from '#platform/api/mod.ts';
import { fieldSelectorLengthMax, labelSelectorLengthMax } from './limits.ts';

export interface Selection {
  readonly isEverything: boolean;
  /** The one name that can match, where the fields ask for one. */
  readonly onlyName: string | undefined;
  matches(object: ApiObject): boolean;
}

/** Of most requests, and shared by them. */
const everything: Selection = { isEverything: true, onlyName: undefined, matches: () => true };

/** Throws 400 for a selector that is too long, malformed or by a field that is not offered. */
export function selectionOf(query: URLSearchParams, definition: ResourceDefinition): Selection {
  const labelText = query.get('labelSelector') ?? '';
  refuseLong('labelSelector', labelText, labelSelectorLengthMax);
  const labels = parseLabelSelector(labelText);
  const fields = fieldSelectorOf(query, definition);
  if (labels.length === 0 && fields.length === 0) return everything;
  const byName = fields.find(({ field, equal }) => field === 'metadata.name' && equal);
  return {
    isEverything: false,
    onlyName: byName?.value,
    matches: (object) =>
      matchesLabels(labels, object.metadata.labels) && matchesFields(fields, definition, object),
  };
}

export function fieldSelectorOf(
  query: URLSearchParams,
  definition: ResourceDefinition,
): FieldSelector {
  const text = query.get('fieldSelector') ?? '';
  refuseLong('fieldSelector', text, fieldSelectorLengthMax);
  return parseFieldSelector(text, definition);
}

function refuseLong(name: string, text: string, lengthMax: number): void {
  if (text.length > lengthMax) {
    throw new StatusError('BadRequest', `${name} has at most ${lengthMax} characters`);
  }
}
