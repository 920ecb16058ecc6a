/**
 * What the server needs to know to serve one kind. A kind is one file in the
 * folder of its group; nothing else in the program lists kinds.
 */
import type { Json, JsonObject } from '#base/mod.ts';
import type { Facet } from '#platform/store/mod.ts';
import type { ApiObject } from './object.ts';
import type { Schema } from './schema.ts';

export interface FieldError {
  /** `spec.containers[0].image` */
  readonly field: string;
  readonly reason:
    | 'FieldValueRequired'
    | 'FieldValueInvalid'
    | 'FieldValueForbidden'
    | 'FieldValueDuplicate'
    | 'FieldValueNotSupported'
    | 'FieldValueTooLong'
    | 'FieldValueTypeInvalid'
    | 'FieldValueUnknown';
  /** What was wrong and what would be right. */
  readonly message: string;
}

/** A column of `kubectl get`. Priority 1 shows under `-o wide` only. */
export interface Column {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'number' | 'date' | 'boolean';
  readonly format?: string;
  readonly description: string;
  readonly priority: 0 | 1;
  /** `nowMs` is wall time, for ages. */
  value(object: ApiObject, nowMs: number): Json;
}

/**
 * How an object is divided among its writers. `split` gives what a write of the
 * whole object would put into each facet that a user of the API may write;
 * `fold` puts the stored facets together into the served object. They must
 * agree: fold(split(x)) serves what was in x.
 */
export interface FacetLayout {
  split(object: ApiObject): Partial<Record<Facet, JsonObject>>;
  fold(facets: Readonly<Partial<Record<Facet, JsonObject>>>): ApiObject;
}

export interface ValidationContext {
  readonly operation: 'create' | 'update';
  /** The object before, as served; undefined on create. */
  readonly previous: ApiObject | undefined;
}

/** What `settle` may look at. */
export interface SettleContext {
  /** The object before, as served; undefined on create. */
  readonly previous: ApiObject | undefined;
  /** All objects of the kind, the one that is settled included where it exists. */
  readonly others: () => readonly ApiObject[];
  /** First two numbers of the addresses of services, e.g. `127.129`. */
  readonly serviceNetwork: string;
}

export type Verb =
  | 'get'
  | 'list'
  | 'watch'
  | 'create'
  | 'update'
  | 'patch'
  | 'delete'
  | 'deletecollection';

export type Subresource =
  | 'status'
  | 'scale'
  | 'log'
  | 'exec'
  | 'attach'
  | 'portforward'
  | 'eviction'
  | 'finalize'
  | 'token'
  | 'approval';

/** How a kind came about that is not one of the program's. */
export interface DeclaredKind {
  /** Name of the CustomResourceDefinition. */
  readonly by: string;
  /** True for the one version in which its objects are stored. */
  readonly isStored: boolean;
  /** True where the kind is on its way out: nothing new is made of it. */
  readonly isLeaving: boolean;
}

export interface ResourceDefinition {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  /** Of lists of them; the kind with `List` at its end where absent. */
  readonly listKind?: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  /** Of `metadata.name`; one of the names of hosts where absent. */
  readonly nameForm?: 'path-segment';
  /** The version in which the kind is stored, where that is another one: its layout shows this form. */
  readonly viewOf?: ResourceDefinition;
  readonly verbs: readonly Verb[];
  readonly subresources: readonly Subresource[];
  /**
   * `main`: the object log. `events`: the bounded ring. `synthesized`: made on read.
   * `answered`: kept nowhere, what is posted comes back with an answer.
   */
  readonly storage: 'main' | 'events' | 'synthesized' | 'answered';
  /** Of a stored kind: the one namespace whose objects are made on read all the same. */
  readonly synthesizedNamespace?: string;
  /** Of the whole object, with apiVersion, kind, metadata, spec and status. */
  readonly schema: Schema;
  readonly columns: readonly Column[];
  /** Values for `fieldSelector`, beside metadata.name and metadata.namespace. */
  readonly selectableFields: Readonly<Record<string, (object: ApiObject) => string>>;
  readonly facets: FacetLayout;
  /**
   * Defaults that a schema cannot express. Runs after the schema's own defaults;
   * changes `object` in place and must be idempotent.
   */
  readonly applyDefaults?: (object: ApiObject) => void;
  /** Rules that a schema cannot express. Runs on an object that satisfies the schema. */
  readonly validate?: (object: ApiObject, context: ValidationContext) => readonly FieldError[];
  /**
   * Gives the object what no other of its kind may have, or says what is taken. Runs
   * after the defaults, in the transaction that stores the object; changes it in
   * place and must be pure otherwise.
   */
  readonly settle?: (object: ApiObject, context: SettleContext) => readonly FieldError[];
  /**
   * Of all but the status as JSON. Objects that travel to nodes have one that lets
   * them fit into a message of the link together with what is reported on them.
   */
  readonly intentBytesMax?: number;
  /** What a person should know about an object that is accepted, one sentence each. */
  readonly warnings?: (object: ApiObject) => readonly string[];
  /** Where `scale` reads and writes. Dotted paths. */
  readonly scale?: {
    readonly specReplicasPath: string;
    readonly statusReplicasPath: string;
    readonly selector: (object: ApiObject) => string;
  };
  /** Put on an object when its deletion is asked for: work that a controller then does. */
  readonly deletionFinalizers?: readonly string[];
  /** Absent for the kinds of the program. */
  readonly declared?: DeclaredKind;
}
