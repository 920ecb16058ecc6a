/**
 * What a node offers of its copy to a server that was restored from a backup, judged
 * object by object: a pure function of one view, run inside the transaction that
 * takes it over.
 *
 * Invariants:
 * 1. A node gives back only what its slice can hold: itself, pods that are assigned to it, and
 *    what those name. Everything must be valid, as if it were created now.
 * 2. What the server has under another uid stays. Of what both have, each facet is taken
 *    that is newer in the copy, a verdict never, and where a node belongs neither. A report that
 *    the node delivered since the histories parted is newer than its copy.
 * 3. A pod that the server has given to another node meanwhile stays there.
 * 4. What is not there in a copy is never deleted here.
 */
import { equalBytes, isJsonObject, type JsonObject, textOf, type Uid, utf8 } from '#base/mod.ts';
import {
  type ApiObject,
  type FieldError,
  prepareForCreate,
  type ResourceDefinition,
  resourceName,
  StatusError,
  validateAgainstSchema,
  validateMetadata,
  type ValidationContext,
} from '#platform/api/mod.ts';
import {
  type Change,
  type Facet,
  keyText,
  type ObjectKey,
  type StoredObject,
  type StoreView,
} from '#platform/store/mod.ts';
import { relatedKeysOfPod } from './node-slice.ts';
import {
  claimsResource,
  isBeingDeleted,
  metadataOf,
  nodeKey,
  nodeNameOf,
  readFacet,
} from './stored-facets.ts';

export interface OfferedCopy {
  readonly nodeName: string;
  readonly objects: readonly StoredObject[];
}

export interface AdoptionContext {
  readonly definitions: readonly ResourceDefinition[];
  readonly nowMs: number;
  /** The same answer for the same namespace. */
  readonly newUid: (namespace: string) => string;
  /**
   * The server's own when it was found to have another history than nodes have. Later ones
   * cannot be held against those of a copy: only reports get them, and such a report is newer.
   */
  readonly partedAtRevision: number;
  /** Of each facet that was taken over already: the revision in the copy that it came from. */
  readonly takenRevisions: ReadonlyMap<string, number>;
  /** Judges as if the node of the offer were known: only to say what would be done. */
  readonly isNodeTaken?: boolean;
  /** Notes the key of a node that the server does not know. Throws StatusError where it cannot. */
  readonly recordNode: (view: StoreView, nodeName: string, uid: Uid) => readonly Change[];
}

export interface AdoptionOutcome {
  /** `pods/default/web-1` */
  readonly object: string;
  readonly nodeName: string;
  /** `present`: the server has it as it is. */
  readonly outcome: 'taken in' | 'brought up to date' | 'present' | 'refused';
  /** Of a refusal why, else what was changed on the way. */
  readonly remark?: string;
}

export interface AdoptionPlan {
  readonly changes: readonly Change[];
  readonly outcomes: readonly AdoptionOutcome[];
  /** To be noted in `takenRevisions` once the changes are made. */
  readonly taken: readonly (readonly [string, number])[];
}

/** In the order in which they are taken in: what others need comes first. */
export const offeredResources = ['nodes', 'configmaps', 'secrets', claimsResource, 'pods'] as const;
const facets: readonly Facet[] = ['intent', 'assignment', 'report', 'verdict'];
const formerOwnerAnnotation = 'selvage.dev/former-owner';
const sites = 'sites.selvage.dev';

class Refusal extends Error {}

/** Judges `objects`, which are some of the offer; its node must be known or among them. */
export function planAdoption(
  view: StoreView,
  offer: OfferedCopy,
  objects: readonly StoredObject[],
  context: AdoptionContext,
): AdoptionPlan {
  const changes: Change[] = [];
  const outcomes: AdoptionOutcome[] = [];
  const taken: [string, number][] = [];
  const { nodeName } = offer;
  const named = namedByPods(offer);
  const madeNamespaces = new Set<string>();
  const seen = new Set<string>();
  let isKnown = view.get(nodeKey(nodeName)) !== undefined || context.isNodeTaken === true;
  for (const offered of objects) {
    const object = keyText(offered.key);
    try {
      if (seen.has(object)) throw new Refusal('it is offered twice');
      seen.add(object);
      const definition = definitionOf(context, offered.key);
      const isNode = offered.key.resource === 'nodes';
      if (isNode && offered.key.name !== nodeName) throw new Refusal('it is another node');
      if (!isNode && !isKnown) throw new Refusal(`node ${nodeName} is not known`);
      if (offered.key.resource === 'pods') requirePodOf(offered, nodeName);
      else if (offered.key.resource === claimsResource) requireClaimOf(offered, nodeName);
      else if (!isNode && !named.has(object)) throw new Refusal('no pod of the node names it');
      const present = view.get(offered.key);
      if (present !== undefined && present.uid !== offered.uid) {
        throw new Refusal('the server has another object of that name');
      }
      requireValid(definition, offered);
      if (present !== undefined) {
        const { made, remark } = broughtUpToDate(present, offered, context);
        changes.push(...made);
        taken.push(...revisionsOf(made, offered));
        const outcome = made.length === 0 ? 'present' : 'brought up to date';
        outcomes.push({ object, nodeName, outcome, ...(remark === undefined ? {} : { remark }) });
      } else {
        if (isNode) changes.push(...newNodeChanges(view, offered, context));
        const { namespace } = offered.key;
        const space = namespaceChanges(view, namespace, context);
        if (!madeNamespaces.has(namespace)) changes.push(...space);
        if (space.length > 0) madeNamespaces.add(namespace);
        const { made, remark } = takenIn(view, offered, context);
        changes.push(...made);
        taken.push(...revisionsOf(made, offered));
        outcomes.push({
          ...{ object, nodeName, outcome: 'taken in' },
          ...(remark === undefined ? {} : { remark }),
        });
      }
      if (isNode) isKnown = true;
    } catch (thrown) {
      if (!(thrown instanceof Refusal) && !(thrown instanceof StatusError)) throw thrown;
      outcomes.push({ object, nodeName, outcome: 'refused', remark: thrown.message });
    }
  }
  return { changes, outcomes, taken };
}

function revisionsOf(made: readonly Change[], offered: StoredObject): [string, number][] {
  return made.flatMap((change): [string, number][] =>
    change.type === 'put'
      ? [[placeOf(offered.key, change.facet), offered.facets[change.facet]?.revision ?? 0]]
      : [],
  );
}

function placeOf(key: ObjectKey, facet: Facet): string {
  return `${keyText(key)} ${facet}`;
}

/**
 * Deployments, and their ReplicaSets, that declare fewer replicas than run now, raised to those: how many there were
 * to be is not known to any node, and what runs was declared once. `taken`: keys of pods;
 * `nodeNames`: whose copies were looked at.
 */
export function raisedReplicas(
  view: StoreView,
  taken: ReadonlySet<string>,
  nodeNames: ReadonlySet<string>,
): { readonly changes: readonly Change[]; readonly remarks: readonly string[] } {
  const counts = new Map<string, number>();
  const touched = new Set<string>();
  for (const pod of view.list('pods')) {
    if (isBeingDeleted(pod)) continue;
    // One that its node does not have any more, though it gave back all it has, runs nowhere.
    const isTaken = taken.has(keyText(pod.key));
    if (!isTaken && nodeNames.has(nodeNameOf(pod) ?? '')) continue;
    const phase = phaseOf(pod);
    if (phase === 'Succeeded' || phase === 'Failed') continue;
    const owner = controllerOf(pod);
    if (owner?.kind !== 'ReplicaSet') continue;
    const { namespace } = pod.key;
    const set = view.get({ resource: 'replicasets.apps', namespace, name: owner.name });
    if (set === undefined || set.uid !== owner.uid || replicasOf(set) === 0) continue;
    const above = controllerOf(set);
    const deployment =
      above?.kind === 'Deployment'
        ? view.get({ resource: 'deployments.apps', namespace, name: above.name })
        : undefined;
    // Both at once: else one of them would be obeyed before it hears of the other.
    for (const target of deployment === undefined ? [set] : [deployment, set]) {
      const text = keyText(target.key);
      counts.set(text, (counts.get(text) ?? 0) + 1);
      if (isTaken) touched.add(text);
    }
  }
  const changes: Change[] = [];
  const remarks: string[] = [];
  for (const resource of ['deployments.apps', 'replicasets.apps']) {
    for (const object of view.list(resource)) {
      const text = keyText(object.key);
      const count = counts.get(text) ?? 0;
      const declared = replicasOf(object);
      if (!touched.has(text) || count <= declared) continue;
      const intent = readFacet(object, 'intent') ?? {};
      const spec = isJsonObject(intent['spec']) ? intent['spec'] : {};
      const metadata = metadataOf(object);
      const generation = typeof metadata['generation'] === 'number' ? metadata['generation'] : 0;
      const raised = {
        ...intent,
        metadata: { ...metadata, generation: generation + 1 },
        spec: { ...spec, replicas: count },
      };
      changes.push(putOf(object, 'intent', raised));
      remarks.push(`${text} was raised from ${declared} to ${count} replicas: so many run`);
    }
  }
  return { changes, remarks };
}

function definitionOf(context: AdoptionContext, key: ObjectKey): ResourceDefinition {
  const isOffered = (offeredResources as readonly string[]).includes(key.resource);
  const definition = context.definitions.find((one) => resourceName(one) === key.resource);
  if (!isOffered || definition === undefined) throw new Refusal('nodes give back no such objects');
  if (definition.namespaced !== (key.namespace !== '')) throw new Refusal('its namespace is wrong');
  return definition;
}

function namedByPods({ objects, nodeName }: OfferedCopy): ReadonlySet<string> {
  const named = new Set<string>();
  for (const object of objects) {
    if (object.key.resource !== 'pods') continue;
    const spec = intentIn(object)?.['spec'];
    if (!isJsonObject(spec) || facetIn(object, 'assignment')?.['nodeName'] !== nodeName) continue;
    for (const key of relatedKeysOfPod(spec, object.key.namespace)) named.add(keyText(key));
  }
  return named;
}

function requirePodOf(pod: StoredObject, nodeName: string): void {
  const assignment = facetIn(pod, 'assignment');
  const images = assignment?.['images'];
  if (assignment?.['nodeName'] !== nodeName) throw new Refusal('it is not assigned to the node');
  if (!isJsonObject(images) || !Object.values(images).every((one) => typeof one === 'string')) {
    throw new Refusal('its assignment names no images');
  }
}

function requireClaimOf(claim: StoredObject, nodeName: string): void {
  const keeper = facetIn(claim, 'assignment')?.['nodeName'];
  if (keeper !== nodeName) throw new Refusal('its data is not on the node');
}

/** Of an offered object, which nobody has judged yet: undefined for what is no object. */
function facetIn(object: StoredObject, facet: Facet): JsonObject | undefined {
  const bytes = object.facets[facet]?.bytes;
  if (bytes === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(textOf(bytes));
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

const intentIn = (object: StoredObject): JsonObject | undefined => facetIn(object, 'intent');

function requireValid(definition: ResourceDefinition, offered: StoredObject): void {
  const parsed: Partial<Record<Facet, JsonObject>> = {};
  for (const facet of facets) {
    if (offered.facets[facet] === undefined) continue;
    const value = facetIn(offered, facet);
    if (value === undefined) throw new Refusal(`its ${facet} is no object`);
    parsed[facet] = value;
  }
  const { key, uid } = offered;
  const intent = parsed.intent;
  const metadata = intent?.['metadata'];
  const isIts =
    isJsonObject(metadata) &&
    metadata['name'] === key.name &&
    (metadata['namespace'] ?? '') === key.namespace &&
    metadata['uid'] === uid &&
    intent?.['kind'] === definition.kind;
  if (!isIts) throw new Refusal('what it declares is not of its name, kind and uid');
  const sizeBytes = offered.facets.intent?.bytes.length ?? 0;
  if (sizeBytes > (definition.intentBytesMax ?? sizeBytes)) throw new Refusal('it is too large');
  if (parsed.report !== undefined && !isJsonObject(parsed.report['status'])) {
    throw new Refusal('its report has no status');
  }
  if (!isVerdict(parsed.verdict)) throw new Refusal('its verdict is none');
  const [first] = problemsOf(definition, parsed);
  if (first !== undefined) throw new Refusal(`it is not valid: ${first.field}: ${first.message}`);
}

/** What the fold of a verdict does not show is looked at here. */
function isVerdict(verdict: JsonObject | undefined): boolean {
  const { lost, status, conditions, waiting } = verdict ?? {};
  return (
    (lost === undefined || (isJsonObject(lost) && typeof lost['id'] === 'string')) &&
    (status === undefined || isJsonObject(status)) &&
    (waiting === undefined || isJsonObject(waiting)) &&
    (conditions === undefined || (Array.isArray(conditions) && conditions.every(isJsonObject)))
  );
}

/** Each rule sees only what has satisfied the one before. */
function problemsOf(
  definition: ResourceDefinition,
  parsed: Partial<Record<Facet, JsonObject>>,
): readonly FieldError[] {
  let object: ApiObject;
  try {
    object = definition.facets.fold(parsed);
  } catch {
    throw new Refusal('its parts do not make an object');
  }
  const bySchema = validateAgainstSchema(definition.schema, object, { errorsMax: 1 });
  if (bySchema.length > 0) return bySchema;
  const byMetadata = validateMetadata(definition, object, asItIs(object));
  // A node as served carries labels that users may not write.
  if (byMetadata.length > 0 || definition.kind === 'Node') return byMetadata;
  return definition.validate?.(object, asItIs(object)) ?? [];
}

/** It was accepted once: only what it is counts, not how it came to be. */
function asItIs(object: ApiObject): ValidationContext {
  return { operation: 'update', previous: object };
}

function broughtUpToDate(
  present: StoredObject,
  offered: StoredObject,
  { takenRevisions, partedAtRevision }: AdoptionContext,
): { readonly made: readonly Change[]; readonly remark?: string } {
  const made: Change[] = [];
  let remark: string | undefined;
  for (const facet of facets) {
    const own = present.facets[facet];
    const theirs = offered.facets[facet];
    if (theirs === undefined || facet === 'verdict') continue;
    if (own !== undefined && equalBytes(own.bytes, theirs.bytes)) continue;
    if (own !== undefined && facet === 'assignment') {
      // Where a node belongs it does not say itself.
      if (present.key.resource === 'nodes') continue;
      const other = nodeNameOf(present);
      if (other !== facetIn(offered, facet)?.['nodeName']) {
        throw new Refusal(`the server has given it to node ${other ?? 'none'} meanwhile`);
      }
    }
    const ownRevision = takenRevisions.get(placeOf(present.key, facet)) ?? own?.revision ?? 0;
    const isDeliveredSince = facet === 'report' && (own?.revision ?? 0) > partedAtRevision;
    if (own !== undefined && (isDeliveredSince || ownRevision >= theirs.revision)) {
      remark = `the server's ${facet} is newer and stays`;
      continue;
    }
    made.push({ type: 'put', key: present.key, uid: present.uid, facet, bytes: theirs.bytes });
  }
  return { made, ...(remark === undefined ? {} : { remark }) };
}

function takenIn(
  view: StoreView,
  offered: StoredObject,
  context: AdoptionContext,
): { readonly made: readonly Change[]; readonly remark?: string } {
  const made: Change[] = [];
  let remark: string | undefined;
  for (const facet of facets) {
    const bytes = offered.facets[facet]?.bytes;
    // What is to be concluded of a node is concluded anew, as of one that has just joined.
    const isConcluded = facet === 'verdict' && offered.key.resource === 'nodes';
    if (bytes === undefined || isConcluded) continue;
    const orphaned = facet === 'intent' ? withoutLostOwner(view, offered, context) : undefined;
    if (orphaned !== undefined) remark = orphaned.remark;
    made.push(
      orphaned === undefined
        ? { type: 'put', key: offered.key, uid: offered.uid, facet, bytes }
        : putOf(offered, facet, orphaned.intent),
    );
  }
  return { made, ...(remark === undefined ? {} : { remark }) };
}

/** An owner that is not there any more would take the object with it: the tie is written down and cut. */
function withoutLostOwner(
  view: StoreView,
  offered: StoredObject,
  { definitions }: AdoptionContext,
): { readonly intent: JsonObject; readonly remark: string } | undefined {
  const intent = intentIn(offered) ?? {};
  const metadata = isJsonObject(intent['metadata']) ? intent['metadata'] : {};
  const references = metadata['ownerReferences'];
  if (!Array.isArray(references) || references.length === 0) return undefined;
  const isThere = (reference: unknown): boolean => {
    if (!isJsonObject(reference)) return false;
    const definition = definitions.find(({ kind }) => kind === reference['kind']);
    const { name } = reference;
    if (definition === undefined || typeof name !== 'string') return false;
    const namespace = definition.namespaced ? offered.key.namespace : '';
    const owner = view.get({ resource: resourceName(definition), namespace, name });
    return owner !== undefined && owner.uid === reference['uid'];
  };
  const kept = references.filter(isThere);
  if (kept.length === references.length) return undefined;
  const lost = references.find((reference) => !isThere(reference));
  const nameOf = (field: string): string => {
    const value = isJsonObject(lost) ? lost[field] : undefined;
    return typeof value === 'string' ? value : '?';
  };
  const owner = `${nameOf('kind')}/${nameOf('name')}`;
  const annotations = isJsonObject(metadata['annotations']) ? metadata['annotations'] : {};
  const { ownerReferences: _cut, ...rest } = metadata;
  return {
    intent: {
      ...intent,
      metadata: {
        ...rest,
        annotations: { ...annotations, [formerOwnerAnnotation]: owner },
        ...(kept.length === 0 ? {} : { ownerReferences: kept }),
      },
    },
    remark: `its owner ${owner} is not known to the server: it goes on without one`,
  };
}

function newNodeChanges(
  view: StoreView,
  offered: StoredObject,
  context: AdoptionContext,
): readonly Change[] {
  const assignment = facetIn(offered, 'assignment') ?? {};
  const { region, site, podCIDR } = assignment;
  if (typeof site !== 'string' || typeof podCIDR !== 'string' || typeof region !== 'string') {
    throw new Refusal('it does not say its site and its addresses');
  }
  const place = view.get({ resource: sites, namespace: '', name: site });
  const spec = place === undefined ? undefined : readFacet(place, 'intent')?.['spec'];
  if (!isJsonObject(spec) || spec['region'] !== region) {
    throw new Refusal(`the server knows no site ${site} in region ${region}`);
  }
  for (const other of view.list('nodes')) {
    if (readFacet(other, 'assignment')?.['podCIDR'] !== podCIDR) continue;
    throw new Refusal(
      `its addresses ${podCIDR} belong to node ${other.key.name} by now: join it again with a new token`,
    );
  }
  return context.recordNode(view, offered.key.name, offered.uid);
}

/** The namespace, where the server does not have it. */
function namespaceChanges(
  view: StoreView,
  name: string,
  context: AdoptionContext,
): readonly Change[] {
  if (name === '') return [];
  const key = { resource: 'namespaces', namespace: '', name };
  const present = view.get(key);
  if (present !== undefined) {
    if (isBeingDeleted(present)) throw new Refusal(`namespace ${name} is being deleted`);
    return [];
  }
  const definition = context.definitions.find(({ kind }) => kind === 'Namespace');
  if (definition === undefined) throw new Refusal(`namespace ${name} is not there`);
  const uid = context.newUid(name);
  const object: ApiObject = prepareForCreate(
    definition,
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name } },
    { uid, nowMs: context.nowMs, namespace: '', generatedSuffix: '' },
  );
  definition.applyDefaults?.(object);
  const [problem] = validateMetadata(definition, object, asItIs(object));
  if (problem !== undefined) throw new Refusal(`namespace ${name}: ${problem.message}`);
  return Object.entries(definition.facets.split(object)).map(([facet, value]) => ({
    type: 'put' as const,
    key,
    uid: uid as Uid,
    facet: facet as Facet,
    bytes: utf8(JSON.stringify(value)),
  }));
}

function putOf({ key, uid }: StoredObject, facet: Facet, value: JsonObject): Change {
  return { type: 'put', key, uid, facet, bytes: utf8(JSON.stringify(value)) };
}

function phaseOf(pod: StoredObject): unknown {
  const status = readFacet(pod, 'report')?.['status'];
  return isJsonObject(status) ? status['phase'] : undefined;
}

function controllerOf(
  object: StoredObject,
): { readonly kind: string; readonly name: string; readonly uid: string } | undefined {
  const references = metadataOf(object)['ownerReferences'];
  const found = Array.isArray(references)
    ? references.find((one) => isJsonObject(one) && one['controller'] === true)
    : undefined;
  if (!isJsonObject(found)) return undefined;
  const { kind, name, uid } = found;
  return typeof kind === 'string' && typeof name === 'string' && typeof uid === 'string'
    ? { kind, name, uid }
    : undefined;
}

function replicasOf(object: StoredObject): number {
  const spec = readFacet(object, 'intent')?.['spec'];
  const replicas = isJsonObject(spec) ? spec['replicas'] : undefined;
  return typeof replicas === 'number' ? replicas : 1;
}
