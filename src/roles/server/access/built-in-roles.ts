/**
 * The roles and bindings that are there from the start, named as in Kubernetes, so
 * that what people know of them holds. `bootstrap.ts` keeps them as they are here.
 */
import {
  type ApiObject,
  type ClusterRole,
  type PolicyRule,
  rbacGroup,
  type RoleBinding,
  type Subject,
} from '#platform/api/mod.ts';

export const autoupdateAnnotation = 'rbac.authorization.kubernetes.io/autoupdate';
const bootstrapLabels = { 'kubernetes.io/bootstrapping': 'rbac-defaults' };
const aggregateLabel = (name: string): string => `rbac.authorization.k8s.io/aggregate-to-${name}`;

const read = ['get', 'list', 'watch'];
const write = ['create', 'delete', 'deletecollection', 'patch', 'update'];
const everything = [...read, ...write].toSorted();

function rule(verbs: readonly string[], apiGroup: string, ...resources: string[]): PolicyRule {
  return { verbs: [...verbs], apiGroups: [apiGroup], resources };
}

function paths(verbs: readonly string[], ...nonResourceURLs: string[]): PolicyRule {
  return { verbs: [...verbs], nonResourceURLs };
}

function clusterRole(
  name: string,
  rules: PolicyRule[],
  labels: Readonly<Record<string, string>> = {},
): ClusterRole {
  return {
    apiVersion: `${rbacGroup}/v1`,
    kind: 'ClusterRole',
    metadata: {
      name,
      labels: { ...bootstrapLabels, ...labels },
      annotations: { [autoupdateAnnotation]: 'true' },
    },
    rules,
  };
}

/** A role that is made of those which say in a label that they belong to it. */
function aggregated(name: string, alsoTo?: string): ClusterRole {
  const labels = alsoTo === undefined ? {} : { [aggregateLabel(alsoTo)]: 'true' };
  return {
    ...clusterRole(name, [], labels),
    aggregationRule: {
      clusterRoleSelectors: [{ matchLabels: { [aggregateLabel(name)]: 'true' } }],
    },
  };
}

function partOf(name: string, rules: PolicyRule[]): ClusterRole {
  return clusterRole(`system:aggregate-to-${name}`, rules, { [aggregateLabel(name)]: 'true' });
}

const workloads = ['deployments', 'replicasets', 'statefulsets'];
const scales = workloads.map((plural) => `${plural}/scale`);

const viewRules = [
  rule(
    read,
    '',
    'configmaps',
    'endpoints',
    'events',
    'limitranges',
    'namespaces',
    'namespaces/status',
    'persistentvolumeclaims',
    'persistentvolumeclaims/status',
    'pods',
    'pods/log',
    'pods/status',
    'replicationcontrollers',
    'resourcequotas',
    'resourcequotas/status',
    'serviceaccounts',
    'services',
    'services/status',
  ),
  rule(
    read,
    'apps',
    'controllerrevisions',
    'daemonsets',
    'daemonsets/status',
    ...workloads,
    ...scales,
    ...workloads.map((plural) => `${plural}/status`),
  ),
  rule(read, 'autoscaling', 'horizontalpodautoscalers', 'horizontalpodautoscalers/status'),
  rule(read, 'batch', 'cronjobs', 'cronjobs/status', 'jobs', 'jobs/status'),
  rule(read, 'discovery.k8s.io', 'endpointslices'),
  rule(['get', 'list'], 'metrics.k8s.io', 'pods'),
  rule(read, 'networking.k8s.io', 'ingresses', 'ingresses/status', 'networkpolicies'),
  rule(read, 'policy', 'poddisruptionbudgets', 'poddisruptionbudgets/status'),
];

const editRules = [
  rule(
    write,
    '',
    'configmaps',
    'events',
    'persistentvolumeclaims',
    'pods',
    'secrets',
    'serviceaccounts',
    'services',
  ),
  rule(read, '', 'pods/attach', 'pods/exec', 'pods/portforward', 'secrets'),
  rule(['create'], '', 'pods/attach', 'pods/eviction', 'pods/exec', 'pods/portforward'),
  rule(['create'], '', 'serviceaccounts/token'),
  rule(['impersonate'], '', 'serviceaccounts'),
  rule(write, 'apps', 'daemonsets', ...workloads, ...scales),
  rule(write, 'autoscaling', 'horizontalpodautoscalers'),
  rule(write, 'batch', 'cronjobs', 'jobs'),
  rule(write, 'networking.k8s.io', 'ingresses', 'networkpolicies'),
  rule(write, 'policy', 'poddisruptionbudgets'),
  rule(everything, 'coordination.k8s.io', 'leases'),
];

const adminRules = [
  rule(['create'], 'authorization.k8s.io', 'localsubjectaccessreviews'),
  rule(everything, rbacGroup, 'rolebindings', 'roles'),
];

const discoveryPaths = [
  '/api',
  '/api/*',
  '/apis',
  '/apis/*',
  '/healthz',
  '/livez',
  '/openapi',
  '/openapi/*',
  '/readyz',
  '/version',
  '/version/',
];

const issuerPaths = ['/.well-known/openid-configuration', '/openid/v1/jwks'];
const userSigner = 'kubernetes.io/kube-apiserver-client';

/** Without the rules of aggregated roles, which follow from the others. */
export const builtInClusterRoles: readonly ClusterRole[] = [
  clusterRole('cluster-admin', [
    { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
    { verbs: ['*'], nonResourceURLs: ['*'] },
  ]),
  aggregated('admin'),
  aggregated('edit', 'admin'),
  aggregated('view', 'edit'),
  partOf('admin', adminRules),
  partOf('edit', editRules),
  partOf('view', viewRules),
  clusterRole('system:discovery', [paths(['get'], ...discoveryPaths)]),
  clusterRole('system:public-info-viewer', [
    paths(['get'], '/healthz', '/livez', '/readyz', '/version', '/version/'),
  ]),
  clusterRole('system:basic-user', [
    rule(['create'], 'authorization.k8s.io', 'selfsubjectaccessreviews', 'selfsubjectrulesreviews'),
    rule(['create'], 'authentication.k8s.io', 'selfsubjectreviews'),
  ]),
  clusterRole('system:auth-delegator', [
    rule(['create'], 'authentication.k8s.io', 'tokenreviews'),
    rule(['create'], 'authorization.k8s.io', 'subjectaccessreviews'),
  ]),
  clusterRole('system:monitoring', [
    paths(
      ['get'],
      '/healthz',
      '/healthz/*',
      '/livez',
      '/livez/*',
      '/metrics',
      '/readyz',
      '/readyz/*',
    ),
  ]),
  clusterRole('system:service-account-issuer-discovery', [paths(['get'], ...issuerPaths)]),
  clusterRole('system:certificates.k8s.io:kube-apiserver-client-approver', [
    { ...rule(['approve'], 'certificates.k8s.io', 'signers'), resourceNames: [userSigner] },
  ]),
  clusterRole('selvage:image-pusher', [
    paths(['delete', 'get', 'patch', 'post', 'put'], '/v2/', '/v2/*'),
  ]),
  clusterRole('selvage:image-puller', [paths(['get'], '/v2/', '/v2/*')]),
];

function binding(name: string, role: string, ...groups: string[]): RoleBinding {
  const subjects = groups.map((group): Subject => ({
    kind: 'Group',
    apiGroup: rbacGroup,
    name: group,
  }));
  const object: ApiObject = {
    apiVersion: `${rbacGroup}/v1`,
    kind: 'ClusterRoleBinding',
    metadata: {
      name,
      labels: { ...bootstrapLabels },
      annotations: { [autoupdateAnnotation]: 'true' },
    },
  };
  return {
    ...object,
    roleRef: { apiGroup: rbacGroup, kind: 'ClusterRole', name: role },
    subjects,
  };
}

const authenticated = 'system:authenticated';

export const builtInClusterRoleBindings: readonly RoleBinding[] = [
  binding('cluster-admin', 'cluster-admin', 'system:masters'),
  binding('system:discovery', 'system:discovery', authenticated),
  binding('system:basic-user', 'system:basic-user', authenticated),
  binding(
    'system:public-info-viewer',
    'system:public-info-viewer',
    authenticated,
    'system:unauthenticated',
  ),
  binding('system:monitoring', 'system:monitoring', 'system:monitoring'),
  binding(
    'system:service-account-issuer-discovery',
    'system:service-account-issuer-discovery',
    'system:serviceaccounts',
  ),
];
