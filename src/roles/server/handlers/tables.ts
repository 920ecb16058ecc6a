/** Tables as answers: the API room draws them, the query says how much of each object they carry. */
import { type IncludeObject, StatusError } from '#platform/api/mod.ts';

export function includeObjectOf(query: URLSearchParams): IncludeObject {
  const value = query.get('includeObject') ?? '';
  switch (value) {
    case '':
      return 'Metadata';
    case 'None':
    case 'Metadata':
    case 'Object':
      return value;
    default:
      throw new StatusError('BadRequest', 'includeObject is "None", "Metadata" or "Object"');
  }
}
