export {
  type Column,
  type FacetLayout,
  type FieldError,
  type ResourceDefinition,
  type Subresource,
  type ValidationContext,
  type Verb,
} from './definition.ts';
export {
  type ApiObject,
  type GroupVersionResource,
  type ObjectMeta,
  type OwnerReference,
} from './object.ts';
export { type Schema } from './schema.ts';
export {
  StatusError,
  type StatusCause,
  type StatusErrorOptions,
  type StatusReason,
} from './status-error.ts';
