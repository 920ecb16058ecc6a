/** Whether a node answers, as the hub has concluded it. */
import type { ApiObject, Node } from '#platform/api/mod.ts';
import type { ServerParts } from './dependencies.ts';

/** `node`: as it is served. One that is not there, or that nobody has judged yet, is not out of reach. */
export function isOutOfReach(node: ApiObject | undefined): boolean {
  const { conditions = [] } = (node as Node | undefined)?.status ?? {};
  return conditions.some(({ type, status }) => type === 'Ready' && status === 'Unknown');
}

/** The node as it is served; undefined where there is none of that name. */
export function servedNode(parts: ServerParts, name: string): ApiObject | undefined {
  const definition = parts.registry.byResource('', 'v1', 'nodes');
  const stored = parts.store.get({ resource: 'nodes', namespace: '', name });
  if (definition === undefined || stored === undefined) return undefined;
  return parts.served.of(definition, stored).object;
}
