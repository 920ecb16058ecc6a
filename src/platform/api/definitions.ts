/** The kinds that the program serves. The one list of them. */
import { customResourceDefinitionDefinition } from './apiextensions/custom-resource-definition.ts';
import { controllerRevisionDefinition } from './apps/controller-revision.ts';
import { daemonSetDefinition } from './apps/daemon-set.ts';
import { deploymentDefinition } from './apps/deployment.ts';
import { replicaSetDefinition } from './apps/replica-set.ts';
import { statefulSetDefinition } from './apps/stateful-set.ts';
import { selfSubjectReviewDefinition } from './authentication/self-subject-review.ts';
import { tokenReviewDefinition } from './authentication/token-review.ts';
import { localSubjectAccessReviewDefinition } from './authorization/local-subject-access-review.ts';
import { selfSubjectAccessReviewDefinition } from './authorization/self-subject-access-review.ts';
import { selfSubjectRulesReviewDefinition } from './authorization/self-subject-rules-review.ts';
import { subjectAccessReviewDefinition } from './authorization/subject-access-review.ts';
import { horizontalPodAutoscalerOneDefinition } from './autoscaling/horizontal-pod-autoscaler-one.ts';
import { horizontalPodAutoscalerDefinition } from './autoscaling/horizontal-pod-autoscaler.ts';
import { cronJobDefinition } from './batch/cron-job.ts';
import { jobDefinition } from './batch/job.ts';
import { certificateSigningRequestDefinition } from './certificates/certificate-signing-request.ts';
import { leaseDefinition } from './coordination/lease.ts';
import { configMapDefinition } from './core/config-map.ts';
import { endpointsDefinition } from './core/endpoints.ts';
import { replicationControllerDefinition } from './core/replication-controller.ts';
import { eventDefinition } from './core/event.ts';
import { limitRangeDefinition } from './core/limit-range.ts';
import { namespaceDefinition } from './core/namespace.ts';
import { nodeDefinition } from './core/node.ts';
import { persistentVolumeClaimDefinition } from './core/persistent-volume-claim.ts';
import { persistentVolumeDefinition } from './core/persistent-volume.ts';
import { podDefinition } from './core/pod.ts';
import { resourceQuotaDefinition } from './core/resource-quota.ts';
import { secretDefinition } from './core/secret.ts';
import { serviceAccountDefinition } from './core/service-account.ts';
import { serviceDefinition } from './core/service.ts';
import type { ResourceDefinition } from './definition.ts';
import { endpointSliceDefinition } from './discovery/endpoint-slice.ts';
import { nodeMetricsDefinition, podMetricsDefinition } from './metrics/usage-metrics.ts';
import { clusterRoleBindingDefinition } from './rbac/cluster-role-binding.ts';
import { clusterRoleDefinition } from './rbac/cluster-role.ts';
import { roleBindingDefinition } from './rbac/role-binding.ts';
import { roleDefinition } from './rbac/role.ts';
import { ingressClassDefinition } from './networking/ingress-class.ts';
import { ingressDefinition } from './networking/ingress.ts';
import { networkPolicyDefinition } from './networking/network-policy.ts';
import { runtimeClassDefinition } from './node/runtime-class.ts';
import { podDisruptionBudgetDefinition } from './policy/pod-disruption-budget.ts';
import { priorityClassDefinition } from './scheduling/priority-class.ts';
import { regionDefinition } from './selvage/region.ts';
import { siteDefinition } from './selvage/site.ts';
import { storageClassDefinition } from './storage/storage-class.ts';

export const builtInDefinitions: readonly ResourceDefinition[] = [
  namespaceDefinition,
  nodeDefinition,
  podDefinition,
  configMapDefinition,
  secretDefinition,
  persistentVolumeClaimDefinition,
  persistentVolumeDefinition,
  serviceDefinition,
  serviceAccountDefinition,
  endpointsDefinition,
  replicationControllerDefinition,
  eventDefinition,
  deploymentDefinition,
  replicaSetDefinition,
  daemonSetDefinition,
  controllerRevisionDefinition,
  statefulSetDefinition,
  jobDefinition,
  cronJobDefinition,
  horizontalPodAutoscalerDefinition,
  horizontalPodAutoscalerOneDefinition,
  endpointSliceDefinition,
  leaseDefinition,
  roleDefinition,
  clusterRoleDefinition,
  roleBindingDefinition,
  clusterRoleBindingDefinition,
  certificateSigningRequestDefinition,
  tokenReviewDefinition,
  selfSubjectReviewDefinition,
  subjectAccessReviewDefinition,
  localSubjectAccessReviewDefinition,
  selfSubjectAccessReviewDefinition,
  selfSubjectRulesReviewDefinition,
  resourceQuotaDefinition,
  limitRangeDefinition,
  podDisruptionBudgetDefinition,
  priorityClassDefinition,
  runtimeClassDefinition,
  ingressDefinition,
  ingressClassDefinition,
  networkPolicyDefinition,
  regionDefinition,
  siteDefinition,
  storageClassDefinition,
  customResourceDefinitionDefinition,
  // Last: they share their plurals with kinds that people mean by them.
  nodeMetricsDefinition,
  podMetricsDefinition,
];
