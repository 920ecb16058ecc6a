/** The part of `metadata` that is stored: everything but what the store itself knows. */
import type { JsonObject } from '#base/mod.ts';
import type { ApiObject } from '../object.ts';

export function intentMetadata(object: ApiObject): JsonObject {
  const metadata = { ...object.metadata } as unknown as JsonObject;
  delete metadata['resourceVersion'];
  return metadata;
}
