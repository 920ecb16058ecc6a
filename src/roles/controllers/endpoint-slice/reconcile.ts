/** Keeps the endpoint slices of a service as plan-slices says. */
import {
  type EndpointSlice,
  equalJson,
  type Pod,
  regionTopologyKey,
  resources,
  selectsLabels,
  type Service,
  serviceOfSlice,
  StatusError,
} from '#platform/api/mod.ts';
import type { ReconcileResult } from '#platform/reconcile/mod.ts';
import type { ControllerContext } from '../shared/context.ts';
import { keyOfObject } from '../shared/keys.ts';
import { managedBy, managedByLabel, planSlices } from './plan-slices.ts';

/** Enqueues the services that a change concerns. */
export function watchForEndpointSlices({ informers, queue }: ControllerContext): void {
  informers.services.onChange(({ object }) => queue.add(keyOfObject(object)));
  informers.pods.onChange(({ object, previous }) => {
    const services = informers.services.lookup('namespace', object.metadata.namespace ?? '');
    for (const service of services) {
      const isConcerned =
        selects(service, object) || (previous !== undefined && selects(service, previous));
      if (isConcerned) queue.add(keyOfObject(service));
    }
  });
  informers.endpointSlices.onChange(({ object }) => {
    const service = serviceOfSlice(object);
    if (service !== undefined) queue.add(`${object.metadata.namespace ?? ''}/${service}`);
  });
  informers.nodes.onChange(({ type, object, previous }) => {
    const place = ({ metadata }: typeof object): string =>
      `${metadata.labels?.['topology.kubernetes.io/zone']}/${metadata.labels?.[regionTopologyKey]}`;
    if (type === 'updated' && place(object) === place(previous)) return;
    for (const service of informers.services.list()) queue.add(keyOfObject(service));
  });
}

function selects({ spec }: Service, { metadata }: Pod): boolean {
  return hasSelector(spec) && selectsLabels({ matchLabels: spec.selector ?? {} }, metadata.labels);
}

function hasSelector({ type, selector = {} }: Service['spec']): boolean {
  return type !== 'ExternalName' && Object.keys(selector).length > 0;
}

export function endpointSliceReconciler(
  context: ControllerContext,
): (key: string) => Promise<ReconcileResult | void> {
  return async (key) => {
    const { informers } = context;
    const service = informers.services.get(key);
    // What a service that is gone has left behind is garbage, and collected as such.
    if (service === undefined || service.metadata.deletionTimestamp !== undefined) return;
    const { namespace = '', name } = service.metadata;
    const present = informers.endpointSlices
      .lookup('namespace', namespace)
      .filter((slice) => serviceOfSlice(slice) === name && isOurs(slice));
    const pods = informers.pods
      .lookup('namespace', namespace)
      .filter((pod) => selects(service, pod));
    const wanted = hasSelector(service.spec)
      ? planSlices(service, pods, (nodeName) => informers.nodes.get(nodeName))
      : [];
    for (const slice of wanted) await bringAbout(context, slice, present);
    const names = new Set(wanted.map(({ metadata }) => metadata.name));
    for (const slice of present) {
      if (!names.has(slice.metadata.name)) await remove(context, slice);
    }
  };
}

function isOurs({ metadata }: EndpointSlice): boolean {
  return metadata.labels?.[managedByLabel] === managedBy;
}

async function bringAbout(
  { client, informers }: ControllerContext,
  slice: EndpointSlice,
  present: readonly EndpointSlice[],
): Promise<void> {
  const existing = present.find(({ metadata }) => metadata.name === slice.metadata.name);
  if (existing === undefined) {
    informers.endpointSlices.observe(await client.create(resources.endpointSlices, slice));
    return;
  }
  const { labels = {}, ownerReferences = [] } = slice.metadata;
  const { endpoints, ports = [] } = slice;
  const same =
    equalJson(existing.endpoints, endpoints) &&
    equalJson(existing.ports ?? [], ports) &&
    equalJson(existing.metadata.labels ?? {}, labels) &&
    existing.metadata.ownerReferences?.[0]?.uid === ownerReferences[0]?.uid;
  if (same) return;
  informers.endpointSlices.observe(
    await client.update(resources.endpointSlices, {
      ...existing,
      metadata: { ...existing.metadata, labels, ownerReferences },
      endpoints,
      ports,
    }),
  );
}

async function remove({ client }: ControllerContext, { metadata }: EndpointSlice): Promise<void> {
  const { namespace = '', name, uid = '' } = metadata;
  try {
    await client.delete(resources.endpointSlices, namespace, name, { uid });
  } catch (error) {
    if (!(error instanceof StatusError && error.reason === 'NotFound')) throw error;
  }
}
