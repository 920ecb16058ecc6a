/**
 * Accepts the names of CustomResourceDefinitions, establishes their kinds, and empties a
 * kind that is being deleted before its definition goes. The plan is in plan-definition.
 */
import {
  type CustomResourceDefinition,
  customResourceFinalizer,
  equalJson,
  isConditionTrue,
  resources,
} from '#platform/api/mod.ts';
import { timestampOf } from '#platform/io/mod.ts';
import type { ReconcileResult } from '#platform/reconcile/mod.ts';
import type { ControllerContext, KindInfo } from '../shared/context.ts';
import { deleteAllOf, isAnyOf } from '../shared/empty-kind.ts';
import { isDeleting } from '../shared/ownership.ts';
import { planLeaving, planStatus } from './plan-definition.ts';

/** Objects with finalizers take as long as those; looking again this often is cheap. */
const lookAgainMs = 1_000;

/** `declare` is told which declared kinds are served, whenever that may have changed. */
export function watchForDefinitions(
  { informers, queue }: ControllerContext,
  declare: (kinds: readonly KindInfo[]) => void,
): void {
  const { customResourceDefinitions } = informers;
  customResourceDefinitions.onChange(({ type, object }) => {
    declare(customResourceDefinitions.list().flatMap((one) => kindOf(one) ?? []));
    if (type !== 'deleted') queue.add(object.metadata.name);
    // Names that it had or gave up may be what others wait for.
    for (const other of customResourceDefinitions.list()) {
      const isWaiting =
        other.spec.group === object.spec.group && !isConditionTrue(other, 'NamesAccepted');
      if (isWaiting) queue.add(other.metadata.name);
    }
  });
}

/** How the kind is addressed now; undefined where it is not served. */
function kindOf(definition: CustomResourceDefinition): KindInfo | undefined {
  if (!isConditionTrue(definition, 'Established')) return undefined;
  const { group, scope, versions, names } = definition.spec;
  const served = versions.filter((version) => version.served);
  const chosen =
    served.find(({ storage }) => storage) ??
    served[0] ??
    (isDeleting(definition) ? versions.find(({ storage }) => storage) : undefined);
  if (chosen === undefined) return undefined;
  const { plural, kind } = { ...names, ...definition.status?.acceptedNames };
  const resource = { group, version: chosen.name, plural };
  return { resource, kind, namespaced: scope === 'Namespaced' };
}

export function definitionReconciler(
  context: ControllerContext,
): (name: string) => Promise<ReconcileResult | void> {
  const { informers } = context;
  return async (name) => {
    const definition = informers.customResourceDefinitions.get(name);
    if (definition === undefined) return undefined;
    if (isDeleting(definition)) return empty(context, definition);
    const others = informers.customResourceDefinitions.list();
    const nowTime = timestampOf(context.clock.wallMs());
    await writeStatus(context, definition, planStatus(definition, others, nowTime));
    return undefined;
  };
}

async function writeStatus(
  { client, informers }: ControllerContext,
  definition: CustomResourceDefinition,
  status: CustomResourceDefinition['status'],
): Promise<CustomResourceDefinition> {
  if (equalJson(definition.status, status)) return definition;
  const changed = await client.updateStatus(resources.customResourceDefinitions, {
    ...definition,
    ...(status === undefined ? {} : { status }),
  });
  informers.customResourceDefinitions.observe(changed);
  return changed as CustomResourceDefinition;
}

async function empty(
  context: ControllerContext,
  definition: CustomResourceDefinition,
): Promise<ReconcileResult | void> {
  const finalizers = definition.metadata.finalizers ?? [];
  if (!finalizers.includes(customResourceFinalizer)) return undefined;
  const kind = kindOf(definition);
  const left = kind === undefined ? 0 : await deleteAllOf(context.client, kind.resource);
  const nowTime = timestampOf(context.clock.wallMs());
  const told = await writeStatus(context, definition, planLeaving(definition, left, nowTime));
  if (left > 0) return { againAfterMs: lookAgainMs };
  try {
    await context.client.mergePatch(
      resources.customResourceDefinitions,
      '',
      definition.metadata.name,
      {
        metadata: {
          finalizers: finalizers.filter((finalizer) => finalizer !== customResourceFinalizer),
          resourceVersion: told.metadata.resourceVersion ?? '',
        },
      },
    );
  } catch (error) {
    if (!isAnyOf(error, ['NotFound'])) throw error;
  }
  return undefined;
}
