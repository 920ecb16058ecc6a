/** The scale subresource: how many replicas, in the same shape for every workload. */
import { copyJson, isJsonObject, type Json, type JsonObject } from '#base/mod.ts';
import {
  type ApiObject,
  apiVersionOf,
  type Author,
  emptySet,
  parseStrictYaml,
  ownersForApply,
  planApply,
  refuseInvalid,
  type ResourceDefinition,
  scaleSchema,
  StatusError,
  validateAgainstSchema,
} from '#platform/api/mod.ts';
import { admissionOf } from '../admission/admission.ts';
import { isPretty, jsonAnswer } from '../answers.ts';
import { applierOf, authorOf } from '../authorship.ts';
import { contentTypeOf, readBytes, requireParsed } from '../body.ts';
import type { ServerParts } from '../dependencies.ts';
import { warningHeaders } from '../object-decoding.ts';
import { flagOf, isDryRun } from '../query.ts';
import { keyOf, readObject } from '../reading.ts';
import type { RequestContext, RouteHandler } from '../route-table.ts';
import { commitDraft } from '../writing.ts';
import { applyMediaType, readPatch } from './patch.ts';
import { decideUpdate, requireNamesOfUrl, type Revise } from './update.ts';

const scaleKind = { group: 'autoscaling', kind: 'Scale' };
const replicasMax = 2_147_483_647;

export function readScaleHandler(parts: ServerParts, definition: ResourceDefinition): RouteHandler {
  return async ({ parameters, query }) => {
    const { namespace = '', name = '' } = parameters;
    const { object } = readObject(parts, definition, namespace, name);
    return jsonAnswer(200, scaleOf(definition, object), { pretty: isPretty(query) });
  };
}

/** PUT takes a whole Scale, PATCH any patch of it. */
export function writeScaleHandler(
  parts: ServerParts,
  definition: ResourceDefinition,
  method: 'PUT' | 'PATCH',
): RouteHandler {
  return async (context) => {
    const { namespace = '', name = '' } = context.parameters;
    const dryRun = isDryRun(context.query.getAll('dryRun'));
    const isApply = method === 'PATCH' && contentTypeOf(context.request) === applyMediaType;
    const author = isApply ? applierOf(parts, context, 'scale') : authorOf(parts, context, 'scale');
    const key = keyOf(definition, namespace, name);
    const admission = admissionOf(parts, definition, context, 'update', 'scale', dryRun);
    const revise = isApply
      ? await scaleApplied(definition, context, author)
      : await scaleWritten(definition, context, method);
    const written = await commitDraft(parts, definition, dryRun, (view) =>
      decideUpdate(parts, definition, view, key, 'main', revise, admission, author),
    );
    return jsonAnswer(200, scaleOf(definition, written.served.object), {
      pretty: isPretty(context.query),
      headers: warningHeaders(admission.warnings()),
    });
  };
}

async function scaleWritten(
  definition: ResourceDefinition,
  context: RequestContext,
  method: 'PUT' | 'PATCH',
): Promise<Revise> {
  const wanted = await wantedScale(context, method);
  return (previous) => ({
    object: withReplicas(definition, previous, wanted(scaleOf(definition, previous))),
  });
}

/** Who applies a Scale applies one field of the workload: the count. */
async function scaleApplied(
  definition: ResourceDefinition,
  context: RequestContext,
  author: Author,
): Promise<Revise> {
  const { value } = parseStrictYaml(await readBytes(context.request));
  refuseInvalid(scaleKind, '', validateAgainstSchema(scaleSchema, value));
  const { namespace = '', name = '' } = context.parameters;
  requireNamesOfUrl(metadataOf(value), { namespace, name });
  const spec = isJsonObject(value) ? value['spec'] : undefined;
  const replicas = isJsonObject(spec) ? spec['replicas'] : undefined;
  const force = flagOf(context.query, 'force');
  return (previous, stored) => {
    const live = previous as unknown as JsonObject;
    const applied: JsonObject = {};
    if (typeof replicas === 'number') {
      setAt(applied, pathOf(definition).specReplicasPath, replicas);
    }
    const { object, owners } = planApply({
      ...{ schema: definition.schema, apiVersion: apiVersionOf(definition) },
      ...{ live, applied, author, force, free: emptySet },
      owners: ownersForApply(definition, stored, 'intent', author.subresource),
    });
    return { object: copyJson(object) as unknown as ApiObject, owners };
  };
}

async function wantedScale(
  context: RequestContext,
  method: 'PUT' | 'PATCH',
): Promise<(present: JsonObject) => Json> {
  if (method === 'PATCH') {
    const patch = await readPatch(context);
    return (present) => patch.apply(scaleSchema, present);
  }
  const { value } = await requireParsed(context.request);
  return () => value;
}

function withReplicas(definition: ResourceDefinition, previous: ApiObject, scale: Json): ApiObject {
  const { name, namespace = '' } = previous.metadata;
  refuseInvalid(scaleKind, name, validateAgainstSchema(scaleSchema, scale));
  const spec = isJsonObject(scale) ? (scale['spec'] ?? {}) : {};
  const metadata = metadataOf(scale);
  requireNamesOfUrl(metadata, { namespace, name });
  const replicas = isJsonObject(spec) ? (spec['replicas'] ?? 0) : 0;
  const version = metadata['resourceVersion'];
  if (typeof replicas !== 'number' || replicas > replicasMax) {
    throw new StatusError('BadRequest', 'spec.replicas must be a number');
  }
  const next = structuredClone(previous);
  if (typeof version === 'string') next.metadata.resourceVersion = version;
  setAt(next as unknown as JsonObject, pathOf(definition).specReplicasPath, replicas);
  return next;
}

function metadataOf(scale: Json): JsonObject {
  const metadata = isJsonObject(scale) ? scale['metadata'] : undefined;
  return isJsonObject(metadata) ? metadata : {};
}

function scaleOf(definition: ResourceDefinition, object: ApiObject): JsonObject {
  const { specReplicasPath, statusReplicasPath, selector } = pathOf(definition);
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: {
      name,
      namespace: namespace ?? '',
      uid: uid ?? '',
      resourceVersion: resourceVersion ?? '',
      ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
    },
    spec: { replicas: numberAt(object, specReplicasPath) },
    status: { replicas: numberAt(object, statusReplicasPath), selector: selector(object) },
  };
}

function pathOf(definition: ResourceDefinition): NonNullable<ResourceDefinition['scale']> {
  const { scale } = definition;
  if (scale === undefined) throw new StatusError('NotFound', `${definition.plural} do not scale`);
  return scale;
}

function numberAt(object: ApiObject, path: string): number {
  let value: unknown = object;
  for (const name of path.split('.')) value = isJsonObject(value) ? value[name] : undefined;
  return typeof value === 'number' ? value : 0;
}

function setAt(object: JsonObject, path: string, value: number): void {
  const names = path.split('.');
  const last = names.pop() ?? '';
  let holder = object;
  for (const name of names) {
    const inner = holder[name];
    if (isJsonObject(inner)) {
      holder = inner;
      continue;
    }
    const made: JsonObject = {};
    holder[name] = made;
    holder = made;
  }
  holder[last] = value;
}
