/**
 * The messages that a pod's specification is made of, by their field numbers
 * (k8s.io/api/core/v1): every field of `podSpecSchema` is here, which a test compares.
 * A field that the schema requires is written as a pointer where Go sends it empty, so
 * that what JSON would have brought is there.
 */
import { type Message, message } from './message.ts';

/** Of a ConfigMap or a Secret. */
const keyReference = message(`
  1 object .LocalReference
  2 key string
  3 optional *boolean`);

const environmentSource = message(`
  1 object .LocalReference
  2 optional *boolean`);

const projectedKeys = message(`
  1 object .LocalReference
  2 items []KeyToPath
  4 optional *boolean`);

const neighbours = message(`
  1 requiredDuringSchedulingIgnoredDuringExecution []PodAffinityTerm
  2 preferredDuringSchedulingIgnoredDuringExecution []WeightedPodAffinityTerm`);

export const podMessages: Readonly<Record<string, Message>> = {
  PodSpec: message(`
    1 volumes []Volume
    2 containers []Container
    3 restartPolicy string
    4 terminationGracePeriodSeconds *integer
    5 activeDeadlineSeconds *integer
    6 dnsPolicy string
    7 nodeSelector {}string
    8 serviceAccountName string
    9 serviceAccount string
    10 nodeName string
    11 hostNetwork boolean
    12 hostPID boolean
    13 hostIPC boolean
    14 securityContext *PodSecurityContext
    15 imagePullSecrets []LocalReference
    16 hostname string
    17 subdomain string
    18 affinity *Affinity
    19 schedulerName string
    20 initContainers []Container
    21 automountServiceAccountToken *boolean
    22 tolerations []Toleration
    24 priorityClassName string
    25 priority *integer
    27 shareProcessNamespace *boolean
    29 runtimeClassName *string
    30 enableServiceLinks *boolean
    31 preemptionPolicy *string
    32 overhead {}quantity
    33 topologySpreadConstraints []TopologySpreadConstraint
    36 os *PodOs`),
  PodOs: message(`
    1 name string`),
  PodSecurityContext: message(`
    2 runAsUser *integer
    3 runAsNonRoot *boolean
    4 supplementalGroups []integer
    5 fsGroup *integer
    6 runAsGroup *integer
    9 fsGroupChangePolicy *string
    10 seccompProfile *SeccompProfile`),
  SeccompProfile: message(`
    1 type string`),

  Container: message(`
    1 name string
    2 image string
    3 command []string
    4 args []string
    5 workingDir string
    6 ports []ContainerPort
    7 env []EnvVar
    8 resources Resources
    9 volumeMounts []VolumeMount
    10 livenessProbe *Probe
    11 readinessProbe *Probe
    12 lifecycle *Lifecycle
    13 terminationMessagePath string
    14 imagePullPolicy string
    15 securityContext *SecurityContext
    16 stdin boolean
    17 stdinOnce boolean
    18 tty boolean
    19 envFrom []EnvFromSource
    20 terminationMessagePolicy string
    22 startupProbe *Probe
    24 restartPolicy *string`),
  ContainerPort: message(`
    1 name string
    2 hostPort integer
    3 containerPort integer
    4 protocol string
    5 hostIP string`),
  Resources: message(`
    1 limits {}quantity
    2 requests {}quantity`),
  SecurityContext: message(`
    1 capabilities *Capabilities
    2 privileged *boolean
    4 runAsUser *integer
    5 runAsNonRoot *boolean
    6 readOnlyRootFilesystem *boolean
    7 allowPrivilegeEscalation *boolean
    8 runAsGroup *integer
    9 procMount *string
    11 seccompProfile *SeccompProfile`),
  Capabilities: message(`
    1 add []string
    2 drop []string`),

  EnvVar: message(`
    1 name string
    2 value string
    3 valueFrom *EnvVarSource`),
  EnvVarSource: message(`
    1 fieldRef *FieldReference
    2 resourceFieldRef *ResourceFieldReference
    3 configMapKeyRef *ConfigMapKeyReference
    4 secretKeyRef *SecretKeyReference`),
  FieldReference: message(`
    1 apiVersion string
    2 fieldPath string`),
  ResourceFieldReference: message(`
    1 containerName string
    2 resource string
    3 divisor quantity`),
  ConfigMapKeyReference: keyReference,
  SecretKeyReference: keyReference,
  EnvFromSource: message(`
    1 prefix string
    2 configMapRef *ConfigMapEnvSource
    3 secretRef *SecretEnvSource`),
  ConfigMapEnvSource: environmentSource,
  SecretEnvSource: environmentSource,

  Probe: message(`
    1 handler .ProbeHandler
    2 initialDelaySeconds integer
    3 timeoutSeconds integer
    4 periodSeconds integer
    5 successThreshold integer
    6 failureThreshold integer
    7 terminationGracePeriodSeconds *integer`),
  ProbeHandler: message(`
    1 exec *ExecAction
    2 httpGet *HttpGetAction
    3 tcpSocket *TcpSocketAction
    4 grpc *GrpcAction`),
  Lifecycle: message(`
    1 postStart *LifecycleHandler
    2 preStop *LifecycleHandler`),
  LifecycleHandler: message(`
    1 exec *ExecAction
    2 httpGet *HttpGetAction
    4 sleep *SleepAction`),
  ExecAction: message(`
    1 command []string`),
  HttpGetAction: message(`
    1 path string
    2 port int-or-string
    3 host string
    4 scheme string
    5 httpHeaders []HttpHeader`),
  HttpHeader: message(`
    1 name string
    2 value *string`),
  TcpSocketAction: message(`
    1 port int-or-string
    2 host string`),
  GrpcAction: message(`
    1 port integer
    2 service *string`),
  SleepAction: message(`
    1 seconds *integer`),

  VolumeMount: message(`
    1 name string
    2 readOnly boolean
    3 mountPath string
    4 subPath string
    5 mountPropagation *string`),
  Volume: message(`
    1 name string
    2 source .VolumeSource`),
  VolumeSource: message(`
    1 hostPath *HostPathVolume
    2 emptyDir *EmptyDirVolume
    6 secret *SecretVolume
    10 persistentVolumeClaim *ClaimVolume
    16 downwardAPI *DownwardVolume
    19 configMap *ConfigMapVolume
    26 projected *ProjectedVolume`),
  HostPathVolume: message(`
    1 path string
    2 type *string`),
  EmptyDirVolume: message(`
    1 medium string
    2 sizeLimit *quantity`),
  SecretVolume: message(`
    1 secretName string
    2 items []KeyToPath
    3 defaultMode *integer
    4 optional *boolean`),
  ClaimVolume: message(`
    1 claimName string
    2 readOnly boolean`),
  DownwardVolume: message(`
    1 items []DownwardFile
    2 defaultMode *integer`),
  ConfigMapVolume: message(`
    1 object .LocalReference
    2 items []KeyToPath
    3 defaultMode *integer
    4 optional *boolean`),
  ProjectedVolume: message(`
    1 sources []VolumeProjection
    2 defaultMode *integer`),
  VolumeProjection: message(`
    1 secret *SecretProjection
    2 downwardAPI *DownwardProjection
    3 configMap *ConfigMapProjection
    4 serviceAccountToken *TokenProjection`),
  SecretProjection: projectedKeys,
  ConfigMapProjection: projectedKeys,
  DownwardProjection: message(`
    1 items []DownwardFile`),
  TokenProjection: message(`
    1 audience string
    2 expirationSeconds *integer
    3 path string`),
  KeyToPath: message(`
    1 key string
    2 path string
    3 mode *integer`),
  DownwardFile: message(`
    1 path string
    2 fieldRef *FieldReference
    3 resourceFieldRef *ResourceFieldReference
    4 mode *integer`),

  Affinity: message(`
    1 nodeAffinity *NodeAffinity
    2 podAffinity *PodAffinity
    3 podAntiAffinity *PodAntiAffinity`),
  NodeAffinity: message(`
    1 requiredDuringSchedulingIgnoredDuringExecution *NodeSelector
    2 preferredDuringSchedulingIgnoredDuringExecution []PreferredNodeTerm`),
  NodeSelector: message(`
    1 nodeSelectorTerms []NodeSelectorTerm`),
  PreferredNodeTerm: message(`
    1 weight integer
    2 preference NodeSelectorTerm`),
  NodeSelectorTerm: message(`
    1 matchExpressions []NodeRequirement
    2 matchFields []NodeRequirement`),
  NodeRequirement: message(`
    1 key string
    2 operator string
    3 values []string`),
  PodAffinity: neighbours,
  PodAntiAffinity: neighbours,
  WeightedPodAffinityTerm: message(`
    1 weight integer
    2 podAffinityTerm PodAffinityTerm`),
  PodAffinityTerm: message(`
    1 labelSelector *LabelSelector
    2 namespaces []string
    3 topologyKey string
    4 namespaceSelector *LabelSelector
    5 matchLabelKeys []string
    6 mismatchLabelKeys []string`),
  TopologySpreadConstraint: message(`
    1 maxSkew integer
    2 topologyKey string
    3 whenUnsatisfiable string
    4 labelSelector *LabelSelector
    5 minDomains *integer
    6 nodeAffinityPolicy *string
    7 nodeTaintsPolicy *string
    8 matchLabelKeys []string`),
  Toleration: message(`
    1 key string
    2 operator string
    3 value string
    4 effect string
    5 tolerationSeconds *integer`),
};
