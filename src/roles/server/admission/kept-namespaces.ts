/** The namespaces that everything counts on: they are not deleted, as nothing makes them anew. */
import { resourceName } from '#platform/api/mod.ts';
import { forbiddenError } from './forbidden.ts';
import type { Admitter } from './types.ts';

const keptNames: ReadonlySet<string> = new Set(['default', 'kube-system']);

export const keptNamespaces: Admitter = {
  name: 'NamespaceLifecycle',
  concerns: (definition) => resourceName(definition) === 'namespaces',
  operations: ['delete'],
  check({ definition, name }) {
    if (keptNames.has(name)) {
      throw forbiddenError(definition, name, 'this namespace may not be deleted');
    }
    return undefined;
  },
};
