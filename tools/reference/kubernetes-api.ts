/**
 * docs/reference/kubernetes-api.md: what of the Kubernetes API and of kubectl works here.
 * What is served is read off the definitions; what kubectl does with it, and what is not
 * served, is said here, and a test holds it against the scenarios and the definitions.
 */
import { builtInDefinitions, type ResourceDefinition, type Schema } from '#platform/api/mod.ts';

export type Answer = 'yes' | 'partly' | 'no';

export interface KubectlCommand {
  readonly command: string;
  readonly answer: Answer;
  /** What is different, or why not; empty for `yes`. */
  readonly how: string;
}

const yes = (command: string, how = ''): KubectlCommand => ({ command, answer: 'yes', how });
const partly = (command: string, how: string): KubectlCommand => ({
  command,
  answer: 'partly',
  how,
});
const no = (command: string, how: string): KubectlCommand => ({ command, answer: 'no', how });

/** Commands of kubectl 1.33, and what becomes of them. Those that ask no server are left out. */
export const kubectlCommands: readonly KubectlCommand[] = [
  yes('get', 'all output forms, selectors, sorting, chunks, watching'),
  yes('describe'),
  yes('create', 'from manifests, and all generators'),
  yes('apply', 'client-side and `--server-side`'),
  yes('diff'),
  yes('edit'),
  yes('replace'),
  yes('patch', 'JSON, merge and strategic'),
  yes('label'),
  yes('annotate'),
  yes('set', 'image, env, resources'),
  yes('scale'),
  yes('autoscale'),
  yes('expose'),
  yes('run'),
  yes('rollout', 'status, history, undo, pause, resume, restart'),
  yes('delete', 'background, foreground, orphan, grace periods, finalizers'),
  yes('wait'),
  yes('cordon'),
  yes('uncordon'),
  yes('drain', 'budgets of disruption hold'),
  yes('taint'),
  yes('top'),
  yes('logs'),
  partly(
    'exec',
    'runs `node` and modules of the image: there is no shell. With and without a terminal',
  ),
  partly('attach', 'shows the output from then on; input where the container has `stdin: true`'),
  partly('cp', 'in containers of the script runtime; modules of WebAssembly have no tar'),
  yes('port-forward'),
  yes('proxy'),
  yes('events'),
  yes('explain', 'every field in our own words'),
  yes('api-resources'),
  yes('api-versions'),
  yes('cluster-info'),
  yes('version'),
  yes('auth', 'can-i, whoami, reconcile'),
  yes('certificate', 'approve and deny'),
  yes('kustomize'),
  no('debug', 'there are no ephemeral containers: a container is one confined program'),
];

/** Kinds of Kubernetes that people may look for and that are not served. */
const notServed: readonly (readonly [apiVersion: string, kinds: string, why: string])[] = [
  ['v1', 'PodTemplate', 'nothing of Kubernetes itself uses it'],
  ['v1', 'ComponentStatus', 'deprecated; ask `/readyz`'],
  ['v1', 'Binding', 'the hub alone assigns pods'],
  [
    'admissionregistration.k8s.io/v1',
    'MutatingWebhookConfiguration, ValidatingWebhookConfiguration, ValidatingAdmissionPolicy',
    'not yet',
  ],
  ['apiregistration.k8s.io/v1', 'APIService', 'not yet'],
  ['events.k8s.io/v1', 'Event', 'use Event of v1'],
  ['flowcontrol.apiserver.k8s.io/v1', 'FlowSchema, PriorityLevelConfiguration', 'not yet'],
  ['storage.k8s.io/v1', 'CSIDriver, CSINode, CSIStorageCapacity, VolumeAttachment', 'not yet'],
  ['resource.k8s.io/v1beta1', 'ResourceClaim, DeviceClass, ResourceSlice', 'not yet'],
];

/** Served, but with less behind it than the name says. */
const reservations: Readonly<Record<string, string>> = {
  Ingress: 'stored, and a warning says that nothing serves it yet',
  IngressClass: 'stored, as Ingress is',
  NetworkPolicy: 'stored, and a warning says that nothing holds it yet',
  PersistentVolume: 'made on read from claims that are bound to a node',
  PersistentVolumeClaim: 'on the disk of one node',
  Endpoints: 'made on read from EndpointSlices',
  ReplicationController: 'there never is one: use a Deployment',
  CustomResourceDefinition: 'no conversion webhooks',
  Event: 'the newest 10,000 of a day',
};

/** Which lack verbs in Kubernetes as well. */
const asThere = ['Namespace', 'NodeMetrics', 'PodMetrics'];

const verbs = [
  'get',
  'list',
  'watch',
  'create',
  'update',
  'patch',
  'delete',
  'deletecollection',
] as const;
const notesFieldsMax = 12;

export function kubernetesApiPage(): string {
  const served = builtInDefinitions.filter(({ group }) => !group.endsWith('selvage.dev'));
  for (const [apiVersion, kinds] of notServed) {
    for (const kind of kinds.split(', ')) {
      if (served.some((one) => one.kind === kind && apiVersionOf(one) === apiVersion)) {
        throw new Error(`${apiVersion} ${kind} is served: take it out of the list`);
      }
    }
  }
  return [
    '# The Kubernetes API here',
    '',
    'What of Kubernetes works unmodified. `/version` answers as Kubernetes 1.32. The field by field',
    'account is in [kinds](kinds.md), who may what in [authorization](authorization.md), kinds of your',
    'own in [declared kinds](declared-kinds.md). A field that is not served is refused by name, never',
    'dropped in silence.',
    '',
    '## kubectl',
    '',
    'Tried in `test/scenarios` with the kubectl on PATH, the basic verbs with each from 1.29 on that lies',
    "beside it (1.29 to 1.33 here) and with Debian's 1.20, which cannot `explain`: it asks for OpenAPI v2.",
    '',
    '| command | works | how |',
    '| --- | --- | --- |',
    ...kubectlCommands.map(({ command, answer, how }) => `| ${command} | ${answer} | ${how} |`),
    '',
    '## Kinds and verbs',
    '',
    '`apply` is server-side apply, and goes with `patch`.',
    '',
    `| kind | version | works | ${verbs.join(' | ')} | subresources | how |`,
    `| --- | --- | --- | ${verbs.map(() => '---').join(' | ')} | --- | --- |`,
    ...served
      .toSorted((left, right) => compare(left.kind, right.kind) || compare(left.group, right.group))
      .map((definition) => kindRow(definition)),
    '',
    '## Not served',
    '',
    '| version | kinds | instead |',
    '| --- | --- | --- |',
    ...notServed.map((row) => `| ${row.join(' | ')} |`),
    '',
    '## The API itself',
    '',
    '| | works | how |',
    '| --- | --- | --- |',
    '| server-side apply, `managedFields`, conflicts | yes | |',
    '| strategic merge, JSON merge and JSON patch | yes | |',
    '| `dryRun=All`, `fieldValidation`, field managers | yes | |',
    '| resource versions, `resourceVersionMatch`, `limit` and `continue` | yes | `Exact` as far back as the history is kept |',
    '| watches with bookmarks, `sendInitialEvents`, `410 Gone` | yes | |',
    '| tables, `PartialObjectMetadata` | yes | |',
    '| discovery, aggregated and plain; OpenAPI v3 | yes | OpenAPI v2 answers 404, and kubectl does without |',
    '| protobuf | partly | bodies that kubectl sends are read; answers are JSON |',
    '| client certificates, tokens of ServiceAccounts, impersonation | yes | |',
    '| webhooks for admission, authentication and conversion | no | |',
    '',
  ].join('\n');
}

function kindRow(definition: ResourceDefinition): string {
  const { kind, subresources } = definition;
  const missing = notYetFields(definition.schema, '');
  const notes: string[] = [];
  const reservation = reservations[kind];
  if (reservation !== undefined) notes.push(reservation);
  if (missing.length > 0) {
    const shown = missing.slice(0, notesFieldsMax).map((path) => `\`${path}\``);
    const more = missing.length > shown.length ? ` and ${missing.length - shown.length} more` : '';
    notes.push(`refused: ${shown.join(', ')}${more}`);
  }
  const marks = verbs.map((verb) => (definition.verbs.includes(verb) ? 'yes' : 'no'));
  // A review is asked and answered: there is nothing to get.
  const isWhole =
    definition.storage === 'answered' || asThere.includes(kind) || !marks.includes('no');
  const works = isWhole && notes.length === 0 ? 'yes' : 'partly';
  return `| ${kind} | ${apiVersionOf(definition)} | ${works} | ${marks.join(' | ')} | ${subresources.join(' ')} | ${notes.join('; ')} |`;
}

/** Paths of fields that are known from Kubernetes and refused by name. */
function notYetFields(schema: Schema, path: string): string[] {
  // What pods refuse is told of Pod alone.
  if (path !== 'spec' && schema.properties?.['containers'] !== undefined) return [];
  const own = (schema.notYet ?? []).map((name) => (path === '' ? name : `${path}.${name}`));
  const below = Object.entries(schema.properties ?? {}).flatMap(([name, child]) =>
    notYetFields(child, path === '' ? name : `${path}.${name}`),
  );
  const items = schema.items === undefined ? [] : notYetFields(schema.items, `${path}[]`);
  return [...new Set([...own, ...below, ...items])];
}

function apiVersionOf({ group, version }: ResourceDefinition): string {
  return group === '' ? version : `${group}/${version}`;
}

function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
