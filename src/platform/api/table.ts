/** Objects as the table that `kubectl get` prints (meta.k8s.io/v1 Table). */
import type { Json, JsonObject } from '#base/mod.ts';
import type { ResourceDefinition } from './definition.ts';
import type { ApiObject } from './object.ts';

/** How much of each object a row carries. */
export type IncludeObject = 'None' | 'Metadata' | 'Object';

export interface TableListMetadata {
  readonly resourceVersion?: string;
  readonly continue?: string;
  readonly remainingItemCount?: number;
}

/**
 * `withHeaders` is false for all but the first event of a watch. `metadata` is
 * that of the list, or of the one object.
 */
export function tableOf(
  definition: ResourceDefinition,
  objects: readonly ApiObject[],
  nowMs: number,
  includeObject: IncludeObject,
  withHeaders: boolean,
  metadata: TableListMetadata = {},
): JsonObject {
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: { ...metadata },
    columnDefinitions: withHeaders ? columnDefinitionsOf(definition) : [],
    rows: objects.map((object) => ({
      cells: definition.columns.map((column) => column.value(object, nowMs)),
      ...rowObject(object, includeObject),
    })),
  };
}

function columnDefinitionsOf(definition: ResourceDefinition): Json[] {
  return definition.columns.map((column) => ({
    name: column.name,
    type: column.type,
    // The name column has the format by which clients know it.
    format: column.format ?? (column.name === 'Name' ? 'name' : ''),
    description: column.description,
    priority: column.priority,
  }));
}

function rowObject(object: ApiObject, includeObject: IncludeObject): JsonObject {
  switch (includeObject) {
    case 'None':
      return {};
    case 'Metadata':
      return { object: partialObjectMetadata(object) };
    case 'Object':
      return { object: object as unknown as JsonObject };
  }
}

/** The object with its metadata only (meta.k8s.io/v1 PartialObjectMetadata). */
export function partialObjectMetadata(object: ApiObject): JsonObject {
  return {
    kind: 'PartialObjectMetadata',
    apiVersion: 'meta.k8s.io/v1',
    metadata: object.metadata as unknown as JsonObject,
  };
}
