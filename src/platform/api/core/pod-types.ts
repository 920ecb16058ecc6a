/** Pods as programs see them. The same fields, in words, are in pod-spec.ts and its neighbours. */
import type { ApiObject } from '../object.ts';
import type { ConditionStatus } from '../meta/condition.ts';
import type { LabelSelector } from '../meta/label-selector.ts';
import type { Volume, VolumeMount } from './pod-volume-types.ts';

export type Protocol = 'TCP' | 'UDP' | 'SCTP';
export type PullPolicy = 'Always' | 'IfNotPresent';
export type RestartPolicy = 'Always' | 'OnFailure' | 'Never';
export type TaintEffect = 'NoSchedule' | 'PreferNoSchedule' | 'NoExecute';
export type PodPhase = 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Unknown';
export type QualityClass = 'Guaranteed' | 'Burstable' | 'BestEffort';

/** Quantities as text, e.g. `250m`, `64Mi`. */
export type ResourceList = { cpu?: string; memory?: string; 'ephemeral-storage'?: string };
export type ResourceName = keyof ResourceList;

/** One key of a ConfigMap or Secret in the pod's namespace. */
export type KeyReference = { name?: string; key: string; optional?: boolean };
export type FieldReference = { apiVersion?: string; fieldPath: string };
export type ResourceFieldReference = {
  /** The container itself where absent; required in volumes. */
  containerName?: string;
  /** `limits.cpu`, `requests.memory` … */
  resource: string;
  divisor?: string | number;
};

export type EnvironmentVariable = {
  name: string;
  value?: string;
  valueFrom?: {
    configMapKeyRef?: KeyReference;
    secretKeyRef?: KeyReference;
    fieldRef?: FieldReference;
    resourceFieldRef?: ResourceFieldReference;
  };
};

/** All keys of a ConfigMap or a Secret as variables. */
export type EnvironmentSource = {
  prefix?: string;
  configMapRef?: { name?: string; optional?: boolean };
  secretRef?: { name?: string; optional?: boolean };
};

export type HttpGetAction = {
  path?: string;
  /** A number, or the name of a port of the container. */
  port: number | string;
  host?: string;
  scheme?: 'HTTP' | 'HTTPS';
  httpHeaders?: { name: string; value: string }[];
};
export type ExecAction = { command?: string[] };

export type Probe = {
  httpGet?: HttpGetAction;
  tcpSocket?: { port: number | string; host?: string };
  exec?: ExecAction;
  grpc?: { port: number; service?: string };
  initialDelaySeconds?: number;
  timeoutSeconds?: number;
  periodSeconds?: number;
  successThreshold?: number;
  failureThreshold?: number;
  /** Liveness and startup probes only: replaces the pod's grace. */
  terminationGracePeriodSeconds?: number;
};

export type LifecycleHandler = {
  httpGet?: HttpGetAction;
  exec?: ExecAction;
  sleep?: { seconds: number };
};

/** Exactly what every workload here is given anyway; other wishes are refused. */
type UserAndConfinement = {
  runAsNonRoot?: boolean;
  runAsUser?: number;
  runAsGroup?: number;
  seccompProfile?: { type: 'RuntimeDefault' };
};

export type PodSecurityContext = UserAndConfinement & {
  fsGroup?: number;
  fsGroupChangePolicy?: 'Always' | 'OnRootMismatch';
  supplementalGroups?: number[];
};

export type ContainerSecurityContext = UserAndConfinement & {
  allowPrivilegeEscalation?: boolean;
  privileged?: boolean;
  readOnlyRootFilesystem?: boolean;
  capabilities?: { add?: string[]; drop?: string[] };
  procMount?: string;
};

export type Container = {
  name: string;
  image: string;
  command?: string[];
  args?: string[];
  workingDir?: string;
  env?: EnvironmentVariable[];
  envFrom?: EnvironmentSource[];
  ports?: { name?: string; containerPort: number; protocol?: Protocol }[];
  resources?: { requests?: ResourceList; limits?: ResourceList };
  volumeMounts?: VolumeMount[];
  livenessProbe?: Probe;
  readinessProbe?: Probe;
  startupProbe?: Probe;
  lifecycle?: { postStart?: LifecycleHandler; preStop?: LifecycleHandler };
  /** Init containers only: a sidecar, which runs beside the containers from then on. */
  restartPolicy?: 'Always';
  imagePullPolicy?: PullPolicy;
  securityContext?: ContainerSecurityContext;
  stdin?: boolean;
  stdinOnce?: boolean;
  tty?: boolean;
  terminationMessagePath?: string;
  terminationMessagePolicy?: string;
};

export type Toleration = {
  key?: string;
  operator?: 'Exists' | 'Equal';
  value?: string;
  effect?: TaintEffect;
  tolerationSeconds?: number;
};

export type NodeSelectorOperator = 'In' | 'NotIn' | 'Exists' | 'DoesNotExist' | 'Gt' | 'Lt';
export type NodeSelectorRequirement = {
  key: string;
  operator: NodeSelectorOperator;
  values?: string[];
};
/** All of its conditions must hold. One without any selects no node. */
export type NodeSelectorTerm = {
  matchExpressions?: NodeSelectorRequirement[];
  /** Only `metadata.name`. */
  matchFields?: NodeSelectorRequirement[];
};
export type NodeAffinity = {
  requiredDuringSchedulingIgnoredDuringExecution?: { nodeSelectorTerms: NodeSelectorTerm[] };
  preferredDuringSchedulingIgnoredDuringExecution?: {
    weight: number;
    preference: NodeSelectorTerm;
  }[];
};

/** Which pods a term is about, and what counts as being together with them. */
export type PodAffinityTerm = {
  labelSelector?: LabelSelector;
  /** The pod's own where neither these nor a selector of namespaces is given. */
  namespaces?: string[];
  namespaceSelector?: LabelSelector;
  topologyKey: string;
  matchLabelKeys?: string[];
  mismatchLabelKeys?: string[];
};
export type WeightedPodAffinityTerm = { weight: number; podAffinityTerm: PodAffinityTerm };
export type PodAffinity = {
  requiredDuringSchedulingIgnoredDuringExecution?: PodAffinityTerm[];
  preferredDuringSchedulingIgnoredDuringExecution?: WeightedPodAffinityTerm[];
};
export type Affinity = {
  nodeAffinity?: NodeAffinity;
  podAffinity?: PodAffinity;
  podAntiAffinity?: PodAffinity;
};

export type TopologySpreadConstraint = {
  maxSkew: number;
  topologyKey: string;
  whenUnsatisfiable: 'DoNotSchedule' | 'ScheduleAnyway';
  labelSelector?: LabelSelector;
  minDomains?: number;
  nodeAffinityPolicy?: 'Honor' | 'Ignore';
  nodeTaintsPolicy?: 'Honor' | 'Ignore';
  matchLabelKeys?: string[];
};

export type PreemptionPolicy = 'PreemptLowerPriority' | 'Never';

export type PodSpec = {
  containers: Container[];
  initContainers?: Container[];
  volumes?: Volume[];
  restartPolicy?: RestartPolicy;
  terminationGracePeriodSeconds?: number;
  activeDeadlineSeconds?: number;
  nodeName?: string;
  nodeSelector?: Record<string, string>;
  affinity?: Affinity;
  topologySpreadConstraints?: TopologySpreadConstraint[];
  tolerations?: Toleration[];
  priorityClassName?: string;
  /** From the class; 0 where absent. */
  priority?: number;
  preemptionPolicy?: PreemptionPolicy;
  runtimeClassName?: string;
  /** From the class of its runtime: what the pod takes beside its containers. */
  overhead?: ResourceList;
  hostname?: string;
  subdomain?: string;
  securityContext?: PodSecurityContext;
  imagePullSecrets?: { name?: string }[];
  serviceAccountName?: string;
  automountServiceAccountToken?: boolean;
  enableServiceLinks?: boolean;
  hostNetwork?: boolean;
  hostPID?: boolean;
  hostIPC?: boolean;
  shareProcessNamespace?: boolean;
  schedulerName?: string;
  dnsPolicy?: string;
};

export type ContainerState = {
  waiting?: { reason?: string; message?: string };
  running?: { startedAt?: string };
  terminated?: {
    exitCode: number;
    signal?: number;
    reason?: string;
    message?: string;
    startedAt?: string;
    finishedAt?: string;
    containerID?: string;
  };
};

export type ContainerStatus = {
  name: string;
  state?: ContainerState;
  lastState?: ContainerState;
  ready: boolean;
  started?: boolean;
  restartCount: number;
  image: string;
  imageID: string;
  containerID?: string;
};

export type PodCondition = {
  type: string;
  status: ConditionStatus;
  reason?: string;
  message?: string;
  lastTransitionTime?: string;
};

export type PodStatus = {
  phase?: PodPhase;
  reason?: string;
  message?: string;
  hostIP?: string;
  hostIPs?: { ip: string }[];
  podIP?: string;
  podIPs?: { ip: string }[];
  startTime?: string;
  /** Where room is being made for it. */
  nominatedNodeName?: string;
  conditions?: PodCondition[];
  initContainerStatuses?: ContainerStatus[];
  containerStatuses?: ContainerStatus[];
  /** Made from the specification when the pod is read. */
  qosClass?: QualityClass;
};

export interface Pod extends ApiObject {
  spec: PodSpec;
  status?: PodStatus;
}

/** A sidecar: an init container that goes on running beside the containers. */
export function isSidecar(container: Container): boolean {
  return container.restartPolicy === 'Always';
}
