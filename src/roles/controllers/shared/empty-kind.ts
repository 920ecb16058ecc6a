/** Deletes all objects of a kind, as when their namespace or the kind itself goes. */
import { type GroupVersionResource, StatusError } from '#platform/api/mod.ts';
import type { Client } from '#platform/client/mod.ts';

/**
 * Asks for the deletion of all of them, in one namespace where it is given; how many were
 * still there. They are asked for at the server: a copy that is behind must not make
 * anything look empty.
 */
export async function deleteAllOf(
  client: Client,
  resource: GroupVersionResource,
  namespace?: string,
): Promise<number> {
  const { items } = await client.list(resource, namespace === undefined ? {} : { namespace });
  for (const { metadata } of items) {
    if (metadata.deletionTimestamp !== undefined) continue;
    try {
      await client.delete(resource, metadata.namespace ?? '', metadata.name, {
        propagationPolicy: 'Background',
        ...(metadata.uid === undefined ? {} : { uid: metadata.uid }),
      });
    } catch (error) {
      // Gone already, or another of that name by now: the next look tells.
      if (!isAnyOf(error, ['NotFound', 'Conflict'])) throw error;
    }
  }
  return items.length;
}

export function isAnyOf(error: unknown, reasons: readonly StatusError['reason'][]): boolean {
  return error instanceof StatusError && reasons.includes(error.reason);
}
