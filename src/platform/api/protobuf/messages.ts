/**
 * The messages of the Kubernetes API that clients send as protobuf, by their field
 * numbers (k8s.io/api, generated.proto). Only what the kinds here have: a field that is
 * set and is not in the table is refused by its number, never dropped.
 */
import { type Message, message } from './message.ts';
import { podMessages } from './pod-messages.ts';

export const messages: Readonly<Record<string, Message>> = {
  ObjectMeta: message(`
    1 name string
    2 generateName string
    3 namespace string
    5 uid string
    6 resourceVersion string
    7 generation integer
    8 creationTimestamp time
    9 deletionTimestamp *time
    10 deletionGracePeriodSeconds *integer
    11 labels {}string
    12 annotations {}string
    13 ownerReferences []OwnerReference
    14 finalizers []string
    17 managedFields -`),
  OwnerReference: message(`
    1 kind string
    3 name string
    4 uid string
    5 apiVersion string
    6 controller *boolean
    7 blockOwnerDeletion *boolean`),
  LabelSelector: message(`
    1 matchLabels {}string
    2 matchExpressions []LabelSelectorRequirement`),
  LabelSelectorRequirement: message(`
    1 key string
    2 operator string
    3 values []string`),
  DeleteOptions: message(`
    1 gracePeriodSeconds *integer
    2 preconditions *Preconditions
    3 orphanDependents *boolean
    4 propagationPolicy *string
    5 dryRun []string`),
  Preconditions: message(`
    1 uid *string
    2 resourceVersion *string`),
  Eviction: message(`
    1 metadata ObjectMeta
    2 deleteOptions *DeleteOptions`),
  Namespace: message(`
    1 metadata ObjectMeta
    2 spec NamespaceSpec
    3 status -`),
  NamespaceSpec: message(`
    1 finalizers []string`),
  ConfigMap: message(`
    1 metadata ObjectMeta
    2 data {}string
    3 binaryData {}bytes
    4 immutable *boolean`),
  Secret: message(`
    1 metadata ObjectMeta
    2 data {}bytes
    3 type string
    4 stringData {}string
    5 immutable *boolean`),
  Service: message(`
    1 metadata ObjectMeta
    2 spec ServiceSpec
    3 status -`),
  ServiceSpec: message(`
    1 ports []ServicePort
    2 selector {}string
    3 clusterIP string
    4 type string
    7 sessionAffinity string
    10 externalName string
    13 publishNotReadyAddresses boolean
    17 ipFamilyPolicy *string
    18 clusterIPs []string
    19 ipFamilies []string
    22 internalTrafficPolicy *string`),
  ServicePort: message(`
    1 name string
    2 protocol string
    3 port integer
    4 targetPort int-or-string
    5 nodePort integer
    6 appProtocol *string`),
  Deployment: message(`
    1 metadata ObjectMeta
    2 spec DeploymentSpec
    3 status -`),
  DeploymentSpec: message(`
    1 replicas *integer
    2 selector *LabelSelector
    3 template PodTemplate
    4 strategy DeploymentStrategy
    5 minReadySeconds integer
    6 revisionHistoryLimit *integer
    7 paused boolean
    9 progressDeadlineSeconds *integer`),
  DeploymentStrategy: message(`
    1 type string
    2 rollingUpdate *RollingUpdate`),
  RollingUpdate: message(`
    1 maxUnavailable *int-or-string
    2 maxSurge *int-or-string`),
  Job: message(`
    1 metadata ObjectMeta
    2 spec JobSpec
    3 status -`),
  JobSpec: message(`
    1 parallelism *integer
    2 completions *integer
    3 activeDeadlineSeconds *integer
    4 selector *LabelSelector
    5 manualSelector *boolean
    6 template PodTemplate
    7 backoffLimit *integer
    8 ttlSecondsAfterFinished *integer
    9 completionMode *string
    10 suspend *boolean`),
  CronJob: message(`
    1 metadata ObjectMeta
    2 spec CronJobSpec
    3 status -`),
  CronJobSpec: message(`
    1 schedule string
    2 startingDeadlineSeconds *integer
    3 concurrencyPolicy string
    4 suspend *boolean
    5 jobTemplate JobTemplate
    6 successfulJobsHistoryLimit *integer
    7 failedJobsHistoryLimit *integer
    8 timeZone *string`),
  JobTemplate: message(`
    1 metadata ObjectMeta
    2 spec JobSpec`),
  PodTemplate: message(`
    1 metadata ObjectMeta
    2 spec PodSpec`),
  Pod: message(`
    1 metadata ObjectMeta
    2 spec PodSpec
    3 status -`),
  ...podMessages,
  CrossVersionObjectReference: message(`
    1 kind string
    2 name string
    3 apiVersion string`),
  HorizontalPodAutoscalerOne: message(`
    1 metadata ObjectMeta
    2 spec HorizontalPodAutoscalerOneSpec
    3 status -`),
  HorizontalPodAutoscalerOneSpec: message(`
    1 scaleTargetRef CrossVersionObjectReference
    2 minReplicas *integer
    3 maxReplicas integer
    4 targetCPUUtilizationPercentage *integer`),
  HorizontalPodAutoscaler: message(`
    1 metadata ObjectMeta
    2 spec HorizontalPodAutoscalerSpec
    3 status -`),
  HorizontalPodAutoscalerSpec: message(`
    1 scaleTargetRef CrossVersionObjectReference
    2 minReplicas *integer
    3 maxReplicas integer
    4 metrics []MetricSpec
    5 behavior *Behavior`),
  MetricSpec: message(`
    1 type string
    4 resource *ResourceMetric
    7 containerResource *ContainerResourceMetric`),
  ResourceMetric: message(`
    1 name string
    2 target MetricTarget`),
  ContainerResourceMetric: message(`
    1 name string
    2 target MetricTarget
    3 container string`),
  MetricTarget: message(`
    1 type string
    3 averageValue *quantity
    4 averageUtilization *integer`),
  Behavior: message(`
    1 scaleUp *ScalingRules
    2 scaleDown *ScalingRules`),
  ScalingRules: message(`
    1 selectPolicy *string
    2 policies []ScalingPolicy
    3 stabilizationWindowSeconds *integer
    4 tolerance *quantity`),
  ScalingPolicy: message(`
    1 type string
    2 value integer
    3 periodSeconds integer`),
  Scale: message(`
    1 metadata ObjectMeta
    2 spec ScaleSpec
    3 status -`),
  ScaleSpec: message(`
    1 replicas integer`),
  ServiceAccount: message(`
    1 metadata ObjectMeta
    2 secrets []ObjectReference
    3 imagePullSecrets []LocalReference
    4 automountServiceAccountToken *boolean`),
  ObjectReference: message(`
    3 name string`),
  LocalReference: message(`
    1 name string`),
  Role: message(`
    1 metadata ObjectMeta
    2 rules []PolicyRule`),
  ClusterRole: message(`
    1 metadata ObjectMeta
    2 rules []PolicyRule
    3 aggregationRule *AggregationRule`),
  PolicyRule: message(`
    1 verbs []string
    2 apiGroups []string
    3 resources []string
    4 resourceNames []string
    5 nonResourceURLs []string`),
  AggregationRule: message(`
    1 clusterRoleSelectors []LabelSelector`),
  RoleBinding: message(`
    1 metadata ObjectMeta
    2 subjects []Subject
    3 roleRef RoleRef`),
  Subject: message(`
    1 kind string
    2 apiGroup string
    3 name string
    4 namespace string`),
  RoleRef: message(`
    1 apiGroup string
    2 kind string
    3 name string`),
  TokenRequest: message(`
    1 metadata ObjectMeta
    2 spec TokenRequestSpec
    3 status -`),
  TokenRequestSpec: message(`
    1 audiences []string
    3 boundObjectRef *BoundObject
    4 expirationSeconds *integer`),
  BoundObject: message(`
    1 kind string
    2 apiVersion string
    3 name string
    4 uid string`),
  TokenReview: message(`
    1 metadata ObjectMeta
    2 spec TokenReviewSpec
    3 status -`),
  TokenReviewSpec: message(`
    1 token string
    2 audiences []string`),
  SelfSubjectReview: message(`
    1 metadata ObjectMeta
    2 status -`),
  AccessReview: message(`
    1 metadata ObjectMeta
    2 spec AccessReviewSpec
    3 status -`),
  AccessReviewSpec: message(`
    1 resourceAttributes *ResourceAttributes
    2 nonResourceAttributes *PathAttributes
    3 user string
    4 groups []string
    5 extra {}texts
    6 uid string`),
  ResourceAttributes: message(`
    1 namespace string
    2 verb string
    3 group string
    4 version string
    5 resource string
    6 subresource string
    7 name string`),
  PathAttributes: message(`
    1 path string
    2 verb string`),
  RulesReview: message(`
    1 metadata ObjectMeta
    2 spec RulesReviewSpec
    3 status -`),
  RulesReviewSpec: message(`
    1 namespace string`),
  CertificateSigningRequest: message(`
    1 metadata ObjectMeta
    2 spec CertificateSigningRequestSpec
    3 status CertificateSigningRequestStatus`),
  CertificateSigningRequestSpec: message(`
    1 request bytes
    2 username string
    3 uid string
    4 groups []string
    5 usages []string
    6 extra {}texts
    7 signerName string
    8 expirationSeconds *integer`),
  CertificateSigningRequestStatus: message(`
    1 conditions []CertificateSigningRequestCondition
    2 certificate bytes`),
  CertificateSigningRequestCondition: message(`
    1 type string
    2 reason string
    3 message string
    4 lastUpdateTime time
    5 lastTransitionTime time
    6 status string`),
  PriorityClass: message(`
    1 metadata ObjectMeta
    2 value integer
    3 globalDefault boolean
    4 description string
    5 preemptionPolicy *string`),
  PodDisruptionBudget: message(`
    1 metadata ObjectMeta
    2 spec PodDisruptionBudgetSpec
    3 status -`),
  PodDisruptionBudgetSpec: message(`
    1 minAvailable *int-or-string
    2 selector *LabelSelector
    3 maxUnavailable *int-or-string
    4 unhealthyPodEvictionPolicy *string`),
  ResourceQuota: message(`
    1 metadata ObjectMeta
    2 spec ResourceQuotaSpec
    3 status -`),
  ResourceQuotaSpec: message(`
    1 hard {}quantity
    2 scopes []string
    3 scopeSelector *ScopeSelector`),
  ScopeSelector: message(`
    1 matchExpressions []ScopeRequirement`),
  ScopeRequirement: message(`
    1 scopeName string
    2 operator string
    3 values []string`),
  Ingress: message(`
    1 metadata ObjectMeta
    2 spec IngressSpec
    3 status -`),
  IngressSpec: message(`
    1 defaultBackend *IngressBackend
    2 tls []IngressTls
    3 rules []IngressRule
    4 ingressClassName *string`),
  IngressTls: message(`
    1 hosts []string
    2 secretName string`),
  IngressRule: message(`
    1 host string
    2 value .IngressRuleValue`),
  IngressRuleValue: message(`
    1 http *IngressPaths`),
  IngressPaths: message(`
    1 paths []IngressPath`),
  IngressPath: message(`
    1 path string
    2 backend IngressBackend
    3 pathType *string`),
  IngressBackend: message(`
    3 resource *IngressResource
    4 service *IngressService`),
  IngressResource: message(`
    1 apiGroup *string
    2 kind string
    3 name string`),
  IngressService: message(`
    1 name string
    2 port IngressServicePort`),
  IngressServicePort: message(`
    1 name string
    2 number integer`),
};

/** The kinds that may come as protobuf: `apiVersion/kind`, and the message of each. */
export const messageOfKind: Readonly<Record<string, string>> = {
  'v1/Namespace': 'Namespace',
  'v1/ConfigMap': 'ConfigMap',
  'v1/Secret': 'Secret',
  'v1/Service': 'Service',
  'v1/Pod': 'Pod',
  'apps/v1/Deployment': 'Deployment',
  'batch/v1/Job': 'Job',
  'batch/v1/CronJob': 'CronJob',
  'policy/v1/Eviction': 'Eviction',
  'autoscaling/v1/Scale': 'Scale',
  'scheduling.k8s.io/v1/PriorityClass': 'PriorityClass',
  'policy/v1/PodDisruptionBudget': 'PodDisruptionBudget',
  'v1/ResourceQuota': 'ResourceQuota',
  'networking.k8s.io/v1/Ingress': 'Ingress',
  'autoscaling/v1/HorizontalPodAutoscaler': 'HorizontalPodAutoscalerOne',
  'autoscaling/v2/HorizontalPodAutoscaler': 'HorizontalPodAutoscaler',
  'v1/ServiceAccount': 'ServiceAccount',
  'rbac.authorization.k8s.io/v1/Role': 'Role',
  'rbac.authorization.k8s.io/v1/ClusterRole': 'ClusterRole',
  'rbac.authorization.k8s.io/v1/RoleBinding': 'RoleBinding',
  'rbac.authorization.k8s.io/v1/ClusterRoleBinding': 'RoleBinding',
  'certificates.k8s.io/v1/CertificateSigningRequest': 'CertificateSigningRequest',
  'authentication.k8s.io/v1/TokenRequest': 'TokenRequest',
  'authentication.k8s.io/v1/TokenReview': 'TokenReview',
  'authentication.k8s.io/v1/SelfSubjectReview': 'SelfSubjectReview',
  'authorization.k8s.io/v1/SubjectAccessReview': 'AccessReview',
  'authorization.k8s.io/v1/LocalSubjectAccessReview': 'AccessReview',
  'authorization.k8s.io/v1/SelfSubjectAccessReview': 'AccessReview',
  'authorization.k8s.io/v1/SelfSubjectRulesReview': 'RulesReview',
};
