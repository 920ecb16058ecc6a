/**
 * Keeps the history of a workload's templates as ControllerRevisions: one for the
 * present template at the top, and no more old ones than its limit. The plan is in
 * plan-revisions.
 */
import type { JsonObject } from '#base/mod.ts';
import {
  type ControllerRevision,
  type GroupVersionResource,
  type LabelSelector,
  type ApiObject,
  type PodTemplate,
  resources,
  StatusError,
} from '#platform/api/mod.ts';
import type { Informer } from '#platform/reconcile/mod.ts';
import { claim } from './adopt.ts';
import type { ControllerContext } from './context.ts';
import { controllerOf, controllerReference } from './ownership.ts';
import {
  planRevision,
  planRevisionCleanup,
  revisionData,
  revisionLabel,
} from './plan-revisions.ts';
import { patchStatus } from './status.ts';
import { templateHash } from './template-hash.ts';

/** A workload that keeps its history this way. */
interface RevisedWorkload extends ApiObject {
  spec: { selector: LabelSelector; template: PodTemplate; revisionHistoryLimit?: number };
  status?: { collisionCount?: number };
}

export interface Revisions {
  /** Of the present template. */
  readonly update: ControllerRevision;
  readonly all: readonly ControllerRevision[];
}

const historyMaxDefault = 10;
/** Of the workload's part of a revision's name, so that the hash still fits. */
const namePartMax = 236;
/** Says nothing about the template, and may be as large as the workload itself. */
const ownAnnotation = 'kubectl.kubernetes.io/last-applied-configuration';

/** The hash by which pods of the revision are known. */
export function hashOfRevision({ metadata }: ControllerRevision): string {
  return metadata.labels?.[revisionLabel] ?? '';
}

/**
 * Makes the present template the newest revision. Where another object has the name
 * that it would get, the count of collisions rises in the status, and it rejects: the
 * next try takes another name.
 */
export async function syncRevisions<Kind extends RevisedWorkload>(
  context: ControllerContext,
  resource: GroupVersionResource,
  informer: Informer<Kind>,
  owner: Kind,
): Promise<Revisions> {
  const { client, informers } = context;
  const { template, selector } = owner.spec;
  const all = await claim(
    client,
    resources.controllerRevisions,
    informers.controllerRevisions,
    owner,
    selector,
  );
  const step = planRevision(template, all);
  switch (step.type) {
    case 'keep':
      return { update: step.revision, all };
    case 'raise': {
      const { namespace = '', name } = step.revision.metadata;
      const raised = await client.mergePatch(resources.controllerRevisions, namespace, name, {
        revision: step.to,
      });
      informers.controllerRevisions.observe(raised);
      const update = raised as ControllerRevision;
      return { update, all: [...all.filter((one) => one !== step.revision), update] };
    }
    case 'create': {
      const update = await create(context, resource, informer, owner, step.number);
      return { update, all: [...all, update] };
    }
  }
}

async function create<Kind extends RevisedWorkload>(
  { client, informers }: ControllerContext,
  resource: GroupVersionResource,
  informer: Informer<Kind>,
  owner: Kind,
  revision: number,
): Promise<ControllerRevision> {
  const { name, namespace = '', annotations = {} } = owner.metadata;
  const { template } = owner.spec;
  const collisionCount = owner.status?.collisionCount ?? 0;
  const hash = templateHash(template, collisionCount);
  const { [ownAnnotation]: _own, ...told } = annotations;
  const wanted: ControllerRevision = {
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: {
      name: `${name.slice(0, namePartMax)}-${hash}`,
      namespace,
      labels: { ...template.metadata?.labels, [revisionLabel]: hash },
      annotations: told,
      ownerReferences: [controllerReference(owner)],
    },
    data: revisionData(template),
    revision,
  };
  try {
    const created = await client.create(resources.controllerRevisions, wanted);
    informers.controllerRevisions.observe(created);
    return created as ControllerRevision;
  } catch (error) {
    if (!(error instanceof StatusError && error.reason === 'AlreadyExists')) throw error;
    const present = await client.get(
      resources.controllerRevisions,
      namespace,
      wanted.metadata.name,
    );
    const isOwn = controllerOf(present)?.uid === owner.metadata.uid;
    if (!isOwn) {
      const status: JsonObject = { collisionCount: collisionCount + 1 };
      await patchStatus(client, resource, informer, owner, status);
    }
    throw error;
  }
}

/** Lets go of what is beyond the limit; `inUse` are names of revisions that count still. */
export async function trimRevisions(
  { client }: ControllerContext,
  { spec }: RevisedWorkload,
  { update, all }: Revisions,
  inUse: ReadonlySet<string>,
): Promise<void> {
  const kept = new Set([...inUse, update.metadata.name]);
  const historyMax = spec.revisionHistoryLimit ?? historyMaxDefault;
  for (const { metadata } of planRevisionCleanup(all, kept, historyMax)) {
    const { namespace = '', name, uid = '' } = metadata;
    try {
      await client.delete(resources.controllerRevisions, namespace, name, { uid });
    } catch (error) {
      if (error instanceof StatusError && ['NotFound', 'Conflict'].includes(error.reason)) continue;
      throw error;
    }
  }
}
