export { ageText, durationText, wallMsOf } from './age-text.ts';
export {
  type Column,
  type DeclaredKind,
  type FacetLayout,
  type FieldError,
  type ResourceDefinition,
  type SettleContext,
  type Subresource,
  type ValidationContext,
  type Verb,
} from './definition.ts';
export {
  aggregatedDiscoveryMediaType,
  aggregatedDiscoveryOf,
  apiGroupListOf,
  apiGroupOf,
  apiResourceListOf,
  coreVersionsOf,
} from './discovery.ts';
export { ApiModelError, type ApiModelErrorCode } from './errors.ts';
export { decodeFacet, encodeFacet, facetsOf, foldObject } from './facets.ts';
export { equalJson, fieldRequired, invalidError, refuseInvalid } from './field-errors.ts';
export { emptySet, type FieldSet } from './fields/field-set.ts';
export {
  areSameOwners,
  type Author,
  noteOf,
  type Owner,
  ownersGiven,
  ownTheSame,
  soleNoteOf,
} from './fields/owners.ts';
export {
  type AppliedObject,
  knownOwners,
  noteAfterUpdate,
  ownersAfterUpdate,
  planApply,
} from './fields/plan-ownership.ts';
export {
  facetBefore,
  isStatusWrittenWithTheRest,
  managedFieldsOfStored,
  managedFieldsTextOf,
  type NotedFacet,
  ownersForApply,
  ownersForNote,
  ownersOfWritten,
} from './fields/stored-owners.ts';
export {
  fieldsUnchangedSince,
  lastAppliedAnnotation,
  lastAppliedOf,
} from './fields/last-applied.ts';
export { dnsSubdomainProblem } from './formats.ts';
export { applyJsonPatch, type JsonPatchLimits } from './json-patch.ts';
export { parseKubernetesProtobuf } from './protobuf/kubernetes-protobuf.ts';
export { applyMergePatch, createMergePatch } from './merge-patch.ts';
export { validateMetadata } from './metadata.ts';
export {
  type ApiObject,
  type GroupVersionResource,
  type ObjectMeta,
  type OwnerReference,
} from './object.ts';
export {
  componentNameOf,
  type OpenApiDocument,
  type OpenApiDocuments,
  openApiDocumentsOf,
} from './openapi.ts';
export {
  type CreateContext,
  prepareForCreate,
  prepareForUpdate,
  requireTypeOf,
  type UpdateContext,
  withDeletion,
} from './prepare.ts';
export {
  addQuantities,
  compareQuantities,
  formatQuantity,
  milliUnitsOf,
  parseQuantity,
  type Quantity,
  type QuantityNotation,
  tryParseQuantity,
} from './quantity.ts';
export {
  apiVersionOf,
  createDefinitionRegistry,
  type DefinitionRegistry,
  type GroupVersion,
  listKindOf,
  resourceName,
  type ServedChange,
} from './registry.ts';
export { conforms } from './conformance.ts';
export {
  applySchemaDefaults,
  dropNullFields,
  findUnknownFields,
  pruneUnknownFields,
} from './schema-fields.ts';
export { type Schema } from './schema.ts';
export {
  type FieldRequirement,
  type FieldSelector,
  formatLabelSelector,
  type LabelOperator,
  type LabelRequirement,
  type LabelRequirements,
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
  statusReasons,
} from './status-error.ts';
export {
  defaultJsonLimits,
  type JsonLimits,
  type ParsedJson,
  parseStrictJson,
} from './strict-json.ts';
export { builtInDefinitions } from './definitions.ts';
export { type ControllerRevision } from './apps/controller-revision.ts';
export { declaredDefinitionsOf } from './apiextensions/declared-kinds.ts';
export {
  type CustomResourceDefinition,
  type CustomResourceNames,
  customResourceFinalizer,
  isConditionTrue,
} from './apiextensions/types.ts';
export { type DaemonSet, type DaemonSetSpec, type DaemonSetStatus } from './apps/daemon-set.ts';
export {
  type CountOrPercent,
  type Deployment,
  type DeploymentSpec,
  type DeploymentStatus,
  type DeploymentStrategy,
} from './apps/deployment-types.ts';
export { type PodTemplate } from './apps/pod-template.ts';
export { type ReplicaSet, type ReplicaSetSpec, type ReplicaSetStatus } from './apps/replica-set.ts';
export {
  type ClaimTemplate,
  type StatefulSet,
  type StatefulSetSpec,
  type StatefulSetStatus,
} from './apps/stateful-set.ts';
export { type CronJob, type CronJobSpec, type CronJobStatus } from './batch/cron-job.ts';
export {
  type CronSchedule,
  nextRunMs,
  type OffsetAt,
  offsetsOf,
  parseCronSchedule,
  timeZoneProblem,
} from './batch/cron-schedule.ts';
export {
  completionIndexAnnotation,
  type Job,
  type JobCondition,
  type JobSpec,
  type JobStatus,
  jobTrackingFinalizer,
} from './batch/job-types.ts';
export { partsOf as autoscalingMetricParts } from './autoscaling/horizontal-pod-autoscaler.ts';
export {
  type AutoscalingMetric,
  type CurrentMetric,
  type HorizontalPodAutoscaler,
  type HorizontalPodAutoscalerSpec,
  type HorizontalPodAutoscalerStatus,
  type MetricTarget,
  type ScalingPolicy,
  type ScalingRules,
} from './autoscaling/horizontal-pod-autoscaler-types.ts';
export { scaleSchema } from './autoscaling/scale.ts';
export { type Lease, nodeLeaseNamespace } from './coordination/lease.ts';
export { isLimitedBy, type LimitRange, type LimitRangeItem } from './core/limit-range.ts';
export { type Amounts, amountsOf, podAmounts, quantitiesOf } from './core/pod-amounts.ts';
export { qualityClassOf } from './core/pod-quality.ts';
export {
  type QuotaScope,
  type ResourceQuota,
  type ResourceQuotaSpec,
  type ScopeRequirement,
} from './core/resource-quota.ts';
export { type ConfigMap } from './core/config-map.ts';
export { type EndpointAddress, type Endpoints, type EndpointSubset } from './core/endpoints.ts';
export { type Event, type ObjectReference } from './core/event.ts';
export { type Namespace, namespaceFinalizer } from './core/namespace.ts';
export { type NodeAssignment, type NodeReport, type NodeVerdict } from './core/node-facets.ts';
export { taintsOfIntent, taintsOfVerdict, unreachableTaintKey } from './core/node-taints.ts';
export {
  type Node,
  type NodeInfo,
  type NodeSpec,
  type NodeStatus,
  type Taint,
} from './core/node-types.ts';
export { stopAfterMsOf } from './core/on-cut.ts';
export { podGraceSecondsOf } from './core/pod-grace.ts';
export {
  type ClaimAssignment,
  claimFinalizer,
  type ClaimReport,
  dataReleasedCondition,
  nodeOfClaim,
  type PersistentVolumeClaim,
} from './core/persistent-volume-claim.ts';
export {
  claimBytesOf,
  type PersistentVolumeClaimSpec,
} from './core/persistent-volume-claim-spec.ts';
export { volumeOfClaim } from './core/persistent-volume.ts';
export { podStatusWord } from './core/pod-columns.ts';
export { type PodAssignment, type PodReport, type PodVerdict } from './core/pod-facets.ts';
export { reportSchemas } from './core/report-schemas.ts';
export { isVariableName, keyedField } from './core/pod-environment-validation.ts';
export {
  type Container,
  type ContainerState,
  type ContainerStatus,
  type EnvironmentSource,
  type EnvironmentVariable,
  type ExecAction,
  type FieldReference,
  type HttpGetAction,
  isSidecar,
  type KeyReference,
  type LifecycleHandler,
  type NodeAffinity,
  type NodeSelectorRequirement,
  type NodeSelectorTerm,
  type Pod,
  type PodCondition,
  type PodPhase,
  type PodSpec,
  type PodStatus,
  type Probe,
  type PullPolicy,
  type QualityClass,
  type ResourceFieldReference,
  type ResourceList,
  type RestartPolicy,
  type TaintEffect,
  type Toleration,
} from './core/pod-types.ts';
export {
  type DownwardFile,
  type KeyToPath,
  type TokenProjection,
  type Volume,
  type VolumeMount,
  type VolumeProjection,
} from './core/pod-volume-types.ts';
export { base64Of, bytesOfBase64 } from './meta/base64.ts';
export { serviceAddressOnNode, serviceNetworkFor } from './core/service-network.ts';
export { isHeadless } from './core/service.ts';
export {
  hasNodePorts,
  type Service,
  type ServicePort,
  type ServiceSpec,
} from './core/service-types.ts';
export {
  type Endpoint,
  type EndpointPort,
  type EndpointSlice,
  regionTopologyKey,
  serviceNameLabel,
  serviceOfSlice,
} from './discovery/endpoint-slice.ts';
export { type Condition, conditionOf, type ConditionStatus } from './meta/condition.ts';
export { type LabelSelector, selectsLabels } from './meta/label-selector.ts';
export { resources } from './meta/resources.ts';
export {
  type NodeMetrics,
  type NodeUsage,
  type PodMetrics,
  type UsageAmounts,
} from './metrics/usage-metrics.ts';
export { runtimePlatforms } from './node/runtime-handlers.ts';
export { type RuntimeClass } from './node/runtime-class.ts';
export {
  disruptedPodsMax,
  type PodDisruptionBudget,
  type PodDisruptionBudgetStatus,
} from './policy/pod-disruption-budget.ts';
export { type PriorityClass, systemPriorityClasses } from './scheduling/priority-class.ts';
export { evictionSchema } from './policy/eviction.ts';
export { type Region } from './selvage/region.ts';
export { type Site } from './selvage/site.ts';
export { nodeLocalClass } from './storage/storage-class.ts';
export { applyStrategicMergePatch } from './strategic-merge.ts';
export { parseStrictYaml } from './strict-yaml.ts';
export {
  type IncludeObject,
  partialObjectMetadata,
  tableOf,
  type TableListMetadata,
} from './table.ts';
export { validateAgainstSchema, type ValidateOptions } from './validate.ts';
export { aggregatedRules } from './rbac/aggregation.ts';
export { type ClusterRole } from './rbac/cluster-role.ts';
export { type PolicyRule, rbacGroup, type RoleRef, type Subject } from './rbac/policy-rule.ts';
export { type RoleBinding } from './rbac/role-binding.ts';
export { type Role } from './rbac/role.ts';
export {
  type TokenRequestSpec,
  tokenLifeSecondsDefault,
  tokenRequestKind,
  tokenRequestSchema,
} from './authentication/token-request.ts';
export { type AccessReviewSpec } from './authorization/access-fields.ts';
export {
  defaultServiceAccountName,
  rootCertificateMapName,
  type ServiceAccount,
} from './core/service-account.ts';
export {
  certificatesGroup,
  type CertificateSigningRequest,
  userCertificateSigner,
} from './certificates/certificate-signing-request.ts';
