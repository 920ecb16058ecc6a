/** Writes what a controller observed into the status of an object. */
import type { JsonObject } from '#base/mod.ts';
import { type ApiObject, type GroupVersionResource, StatusError } from '#platform/api/mod.ts';
import type { Client } from '#platform/client/mod.ts';
import type { Informer } from '#platform/reconcile/mod.ts';

/** Merges `status` in; an object that is gone needs none. Rejects with what else the server says. */
export async function patchStatus<Kind extends ApiObject>(
  client: Client,
  resource: GroupVersionResource,
  informer: Informer<Kind>,
  { metadata }: ApiObject,
  status: JsonObject,
): Promise<void> {
  const { namespace = '', name } = metadata;
  try {
    informer.observe(await client.mergePatch(resource, namespace, name, { status }, 'status'));
  } catch (error) {
    if (!(error instanceof StatusError && error.reason === 'NotFound')) throw error;
  }
}
