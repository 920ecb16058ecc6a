/**
 * What has a say in a write beside the kind itself: an admitter is declared for
 * kinds and operations, shapes the object before it is validated, and may refuse
 * it in the transaction that stores it.
 */
import type { ApiObject, ResourceDefinition, Subresource } from '#platform/api/mod.ts';
import type { User } from '#platform/identity/mod.ts';
import type { Change, StoreView } from '#platform/store/mod.ts';

export type AdmissionOperation = 'create' | 'update' | 'delete';

export interface AdmissionRequest {
  readonly definition: ResourceDefinition;
  readonly operation: AdmissionOperation;
  /** The endpoint that was asked; undefined for the object's own. An eviction is a deletion by `eviction`. */
  readonly subresource: Subresource | undefined;
  /** Empty for cluster-scoped kinds. */
  readonly namespace: string;
  readonly name: string;
  readonly user: User | undefined;
  readonly isDryRun: boolean;
  /** Wall time of the request. */
  readonly nowMs: number;
  /** As served before; undefined on create. Shared: nobody changes it. */
  readonly previous: ApiObject | undefined;
  /** As it is to be stored; undefined on delete. */
  readonly object: ApiObject | undefined;
}

/** What an admitter may look at. */
export interface AdmissionState {
  /** In the checking part all that was accepted before this write, acknowledged or not. */
  readonly view: StoreView;
  /** Only what is acknowledged: a moment behind, and cheaper to ask whether there is anything. */
  readonly acknowledged: StoreView;
  /** One served object of the view, by its store resource (`limitranges`, `roles.rbac.authorization.k8s.io`). */
  readonly get: (resource: string, namespace: string, name: string) => ApiObject | undefined;
  /** The served objects of the view; of one namespace where one is given. */
  readonly list: (resource: string, namespace?: string) => readonly ApiObject[];
  /** The kinds that are served now. */
  readonly definitions: () => readonly ResourceDefinition[];
}

/** What an admitter did to an object. */
export interface Shaping {
  /**
   * True where it put something in that no client sent. It then gets the defaults of the
   * schema and loses what that does not know, as every later write makes of it.
   */
  readonly isChanged?: boolean;
  /** One sentence each, for the person who wrote. */
  readonly warnings?: readonly string[];
}

export interface Judgement {
  /** Committed together with the write, of other objects than the written one. */
  readonly changes?: readonly Change[];
  /** One sentence each, for the person who wrote. */
  readonly warnings?: readonly string[];
}

export interface Admitter {
  /** For people who read about it. */
  readonly name: string;
  /** Whether it has a say in this kind. Asked once for each definition. */
  readonly concerns: (definition: ResourceDefinition) => boolean;
  readonly operations: readonly AdmissionOperation[];
  /** Endpoints beside the object's own (`main`) that it has a say in; the own alone where absent. */
  readonly endpoints?: readonly (Subresource | 'main')[];
  /**
   * Shapes what is written, in place, after the defaults and before validation. Pure
   * otherwise and idempotent: it may run again, on its own result. Throws a StatusError
   * to refuse.
   */
  readonly shape?: (
    object: ApiObject,
    request: AdmissionRequest,
    state: AdmissionState,
  ) => Shaping | undefined;
  /**
   * Says whether the write may be, in its transaction and after validation; so what it
   * read cannot have changed when the write is accepted. Pure. Throws a StatusError to
   * refuse.
   */
  readonly check?: (request: AdmissionRequest, state: AdmissionState) => Judgement | undefined;
}
