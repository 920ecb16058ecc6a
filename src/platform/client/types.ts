/**
 * The API as a program uses it. The same client serves controllers inside the
 * server's process (through the same handler and the same authorization door
 * as everybody else) and programs on the other end of HTTPS.
 */
import type { JsonObject } from '#base/mod.ts';
import type { ApiObject, GroupVersionResource } from '#platform/api/mod.ts';

export interface ListOptions {
  /** `metadata`: of each object only that, as much less to keep of large ones. Whole where absent. */
  readonly form?: 'metadata';
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export interface ObjectList {
  readonly items: readonly ApiObject[];
  readonly resourceVersion: string;
}

export type WatchEvent =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: ApiObject }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string };

export interface WatchHandlers {
  onEvent(event: WatchEvent): void;
  /** Once. A StatusError `Expired` means: list again. Undefined: the server ended it in time. */
  onEnd(error: Error | undefined): void;
}

export interface DeleteOptions {
  readonly propagationPolicy?: 'Foreground' | 'Background' | 'Orphan';
  readonly gracePeriodSeconds?: number;
  /** Refuses with Conflict when the object is another one by now. */
  readonly uid?: string;
}

/** Every method rejects with StatusError for what the server refused. */
export interface Client {
  /** `scale`: not the object but how many replicas it has. */
  get(
    resource: GroupVersionResource,
    namespace: string,
    name: string,
    subresource?: 'scale',
  ): Promise<ApiObject>;
  list(resource: GroupVersionResource, options?: ListOptions): Promise<ObjectList>;
  watch(
    resource: GroupVersionResource,
    options: ListOptions & { readonly resourceVersion: string },
    handlers: WatchHandlers,
  ): { close(): void };
  create(resource: GroupVersionResource, object: ApiObject): Promise<ApiObject>;
  /** Replaces the object; Conflict when its resourceVersion is not the present one. */
  update(resource: GroupVersionResource, object: ApiObject): Promise<ApiObject>;
  updateStatus(resource: GroupVersionResource, object: ApiObject): Promise<ApiObject>;
  /** Writes what is left in `spec.finalizers` of a namespace that is being deleted. */
  finalize(resource: GroupVersionResource, object: ApiObject): Promise<ApiObject>;
  mergePatch(
    resource: GroupVersionResource,
    namespace: string,
    name: string,
    patch: JsonObject,
    subresource?: 'status' | 'scale',
  ): Promise<ApiObject>;
  delete(
    resource: GroupVersionResource,
    namespace: string,
    name: string,
    options?: DeleteOptions,
  ): Promise<void>;
}
