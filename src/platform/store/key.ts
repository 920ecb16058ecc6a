/** Keys as text, and their order. */
import type { ObjectKey } from './types.ts';

/** Unique for a key: no part of a key contains a slash. For maps, and for messages to people. */
export function keyText(key: ObjectKey): string {
  return `${key.resource}/${key.namespace}/${key.name}`;
}

/** By resource, then namespace, then name, each by code unit. */
export function compareKeys(left: ObjectKey, right: ObjectKey): number {
  if (left.resource !== right.resource) return left.resource < right.resource ? -1 : 1;
  if (left.namespace !== right.namespace) return left.namespace < right.namespace ? -1 : 1;
  if (left.name !== right.name) return left.name < right.name ? -1 : 1;
  return 0;
}
