/**
 * Structural schemas: the subset of OpenAPI v3 that Kubernetes uses for its
 * types and for custom resources. The same value drives validation, defaults,
 * pruning, strategic merge, the served OpenAPI document and `kubectl explain`.
 */
import type { Json, JsonObject } from '#base/mod.ts';
import type { FieldError } from './definition.ts';

/** What the author of a declared kind asks of a value beyond the fields of `Schema`. */
export interface SchemaRules {
  /** Those keywords as they were written, for the served document. */
  readonly served: JsonObject;
  /** Null is a value of its own here, and stays. */
  readonly keepsNull: boolean;
  /** What is wrong with a value that has the type of the schema; absent: nothing can be. */
  readonly check: ((value: Json, path: string) => readonly FieldError[]) | undefined;
}

export interface Schema {
  /** Absent only together with one of the two `x-kubernetes-…` escapes below. */
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean';
  /** In our own words; what `kubectl explain` prints. */
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  /**
   * Fields that people know from Kubernetes and that this version refuses: an
   * answer about one says so. Never served.
   */
  readonly notYet?: readonly string[];
  readonly additionalProperties?: Schema;
  readonly items?: Schema;
  readonly enum?: readonly string[];
  /** `quantity`, `dns-label`, `dns-subdomain`, `label-value`, `qualified-name` are our own. */
  readonly format?:
    | 'date-time'
    | 'int32'
    | 'int64'
    | 'byte'
    | 'double'
    | 'quantity'
    | 'dns-label'
    | 'dns-subdomain'
    | 'label-value'
    | 'qualified-name';
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly maxProperties?: number;
  readonly default?: Json;
  readonly nullable?: true;
  readonly 'x-kubernetes-int-or-string'?: true;
  readonly 'x-kubernetes-preserve-unknown-fields'?: true;
  readonly 'x-kubernetes-list-type'?: 'atomic' | 'set' | 'map';
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly 'x-kubernetes-map-type'?: 'atomic' | 'granular';
  readonly 'x-kubernetes-patch-strategy'?: 'merge' | 'retainKeys' | 'merge,retainKeys' | 'replace';
  readonly 'x-kubernetes-patch-merge-key'?: string;
  /** In declared kinds only. Never served as such. */
  readonly rules?: SchemaRules;
}
