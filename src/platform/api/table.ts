/** Objects as the table that `kubectl get` prints (meta.k8s.io/v1 Table). */
import type { JsonObject } from '#base/mod.ts';
import type { Column, ResourceDefinition } from './definition.ts';
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
  const columns = columnsOf(definition);
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: { ...metadata },
    columnDefinitions: withHeaders ? columns.map(columnDefinitionOf) : [],
    rows: objects.map((object) => ({
      cells: columns.map((column) => column.value(object, nowMs)),
      ...rowObject(object, includeObject),
    })),
  };
}

const nameColumn: Column = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description: 'Name of the object, unique in its namespace among its kind.',
  priority: 0,
  value: (object) => object.metadata.name,
};

/**
 * The name comes first, unless the kind places it itself. Events have made-up
 * names that nobody looks for, so theirs shows under `-o wide` only.
 */
function columnsOf({ columns, storage }: ResourceDefinition): readonly Column[] {
  if (columns.some(({ name }) => name === 'Name')) return columns;
  if (storage === 'events') return [...columns, { ...nameColumn, priority: 1 }];
  return [nameColumn, ...columns];
}

function columnDefinitionOf({ name, type, format, description, priority }: Column): JsonObject {
  return { name, type, format: format ?? '', description, priority };
}

function rowObject(object: ApiObject, includeObject: IncludeObject): JsonObject {
  if (includeObject === 'None') return {};
  return {
    object:
      includeObject === 'Metadata'
        ? partialObjectMetadata(object)
        : (object as unknown as JsonObject),
  };
}

/** The object with its metadata only (meta.k8s.io/v1 PartialObjectMetadata). */
export function partialObjectMetadata(object: ApiObject): JsonObject {
  return {
    kind: 'PartialObjectMetadata',
    apiVersion: 'meta.k8s.io/v1',
    metadata: object.metadata as unknown as JsonObject,
  };
}
