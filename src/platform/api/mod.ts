export { ageText, durationText, wallMsOf } from './age-text.ts';
export {
  type Column,
  type FacetLayout,
  type FieldError,
  type ResourceDefinition,
  type Subresource,
  type ValidationContext,
  type Verb,
} from './definition.ts';
export { ApiModelError, type ApiModelErrorCode } from './errors.ts';
export {
  decodeFacet,
  decodeFacets,
  defaultFacetLayout,
  encodeFacet,
  facetsOf,
  foldObject,
  intentOf,
} from './facets.ts';
export {
  childPath,
  equalJson,
  fieldDuplicate,
  fieldForbidden,
  fieldInvalid,
  fieldNotSupported,
  fieldRequired,
  fieldTooLong,
  fieldTypeInvalid,
  indexPath,
  invalidError,
  keyPath,
  refuseInvalid,
} from './field-errors.ts';
export {
  dnsLabelProblem,
  dnsSubdomainProblem,
  labelValueProblem,
  qualifiedNameProblem,
} from './formats.ts';
export {
  type ApiObject,
  type GroupVersionResource,
  type ObjectMeta,
  type OwnerReference,
} from './object.ts';
export {
  addQuantities,
  compareQuantities,
  formatQuantity,
  milliUnitsOf,
  parseQuantity,
  type Quantity,
  type QuantityNotation,
  quantityOfMilliUnits,
  quantityOfUnits,
  subtractQuantities,
  tryParseQuantity,
  unitsOf,
  zeroQuantity,
} from './quantity.ts';
export {
  apiVersionOf,
  createDefinitionRegistry,
  type DefinitionRegistry,
  type GroupVersion,
  resourceName,
} from './registry.ts';
export { type Schema } from './schema.ts';
export {
  type FieldRequirement,
  type FieldSelector,
  formatLabelSelector,
  labelSelectorErrors,
  labelSelectorOf,
  type LabelOperator,
  type LabelRequirement,
  type LabelSelector,
  matchesFields,
  matchesLabels,
  parseFieldSelector,
  parseLabelSelector,
} from './selectors.ts';
export {
  StatusError,
  type StatusCause,
  type StatusErrorOptions,
  type StatusReason,
} from './status-error.ts';
export {
  defaultJsonLimits,
  type JsonLimits,
  type ParsedJson,
  parseStrictJson,
} from './strict-json.ts';
