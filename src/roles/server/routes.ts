/** All rows of the route table: what every kind gets, and the few paths beside them. */
import { utf8 } from '#base/mod.ts';
import {
  apiVersionOf,
  type ResourceDefinition,
  resourceName,
  type ServedChange,
  StatusError,
  type Subresource,
  type Verb,
} from '#platform/api/mod.ts';
import type { RegistryHandler } from '#platform/blobs/mod.ts';
import type { JoinTokens, NodeCertificates } from '#platform/identity/mod.ts';
import type { Address } from '#platform/io/mod.ts';
import { type Metrics, prometheusContentType, prometheusText } from '#platform/metrics/mod.ts';
import { reviewHandler } from './access/reviews.ts';
import { issuerRows } from './access/issuer-rows.ts';
import { tokenRequestHandler } from './access/token-request.ts';
import { bytesAnswer } from './answers.ts';
import type { ServerParts, VersionInfo } from './dependencies.ts';
import { descriptionRows } from './handlers/api-description.ts';
import { backupHandler, type BackupSource } from './handlers/backup.ts';
import { createHandler } from './handlers/create.ts';
import { deleteCollectionHandler, deleteHandler } from './handlers/delete.ts';
import { evictionHandler } from './handlers/eviction.ts';
import { incarnationHandler } from './handlers/incarnation.ts';
import { createTokenHandler, redeemTokenHandler } from './handlers/join.ts';
import { renewHandler, revokeHandler } from './handlers/node-certificates.ts';
import { patchHandler } from './handlers/patch.ts';
import { podExecHandler } from './handlers/pod-exec.ts';
import { podForwardHandler } from './handlers/pod-forward.ts';
import { podLogHandler } from './handlers/pod-log.ts';
import { getHandler, listHandler } from './handlers/read.ts';
import { readScaleHandler, writeScaleHandler } from './handlers/scale.ts';
import { updateHandler } from './handlers/update.ts';
import { watchHandler } from './handlers/watch.ts';
import {
  createRouteTable,
  type Method,
  type RouteHandler,
  type RouteRow,
  type RouteTable,
} from './route-table.ts';

export interface RouteSources {
  readonly version: VersionInfo;
  readonly registryHandler: RegistryHandler;
  readonly joinTokens: JoinTokens;
  readonly nodeCertificates?: NodeCertificates;
  readonly linkAddress: () => Address;
  /** Where the API is found by others; known once the server listens. */
  readonly apiAddress?: () => Address;
  readonly backup?: BackupSource;
  readonly metrics?: Metrics;
}

/** The table of all that is served, which follows the registry for as long as it lives. */
export function createRoutes(parts: ServerParts, sources: RouteSources): RouteTable {
  const declared = new Map<ResourceDefinition, readonly RouteRow[]>();
  const table = createRouteTable(fixedRows(parts, sources));
  function change({ removed, added }: ServedChange): void {
    for (const definition of removed) {
      table.remove(declared.get(definition) ?? []);
      declared.delete(definition);
    }
    for (const definition of added) {
      const rows = kindRows(parts, definition);
      declared.set(definition, rows);
      table.add(rows);
    }
  }
  change({ removed: [], added: parts.registry.definitions });
  parts.registry.onChange(change);
  return table;
}

const readSubresources = [undefined, 'status', 'approval', 'scale'];

/** The rows that read objects that are all stored, which a copy of the stores is enough for. */
export function readRows(parts: ServerParts): readonly RouteRow[] {
  return parts.registry.definitions
    .filter(({ storage, synthesizedNamespace }) => {
      const isStored = storage === 'main' || storage === 'events';
      return isStored && synthesizedNamespace === undefined;
    })
    .flatMap((definition) => kindRows(parts, definition))
    .filter(
      ({ method, subject }) =>
        method === 'GET' &&
        subject.type === 'resource' &&
        readSubresources.includes(subject.subresource),
    );
}

function fixedRows(parts: ServerParts, sources: RouteSources): readonly RouteRow[] {
  return [
    ...descriptionRows(parts, sources.version),
    ...joinRows(parts, sources),
    ...(sources.nodeCertificates === undefined ? [] : certificateRows(sources.nodeCertificates)),
    ...(parts.divergence === undefined
      ? []
      : [operatorRow('incarnations', incarnationHandler(parts.divergence))]),
    ...(sources.backup === undefined
      ? []
      : [operatorRow('backups', backupHandler(sources.backup, parts.logger))]),
    ...(parts.tokens === undefined ? [] : issuerRows(parts.tokens, sources.apiAddress)),
    ...registryRows(sources.registryHandler),
    ...(sources.metrics === undefined ? [] : [metricsRow(sources.metrics)]),
  ];
}

function metricsRow(metrics: Metrics): RouteRow {
  return {
    method: 'GET',
    pattern: '/metrics',
    watch: false,
    subject: { type: 'path', verb: 'get', area: 'metrics' },
    handler: async () => bytesAnswer(200, utf8(prometheusText(metrics)), prometheusContentType),
  };
}

/** `/api/v1` or `/apis/<group>/<version>`. */
function rootOf(definition: ResourceDefinition): string {
  return `${definition.group === '' ? '/api' : '/apis'}/${apiVersionOf(definition)}`;
}

function kindRows(parts: ServerParts, definition: ResourceDefinition): readonly RouteRow[] {
  const root = rootOf(definition);
  const { plural, namespaced } = definition;
  const collection = namespaced ? `${root}/namespaces/{namespace}/${plural}` : `${root}/${plural}`;
  const object = `${collection}/{name}`;
  const rows: RouteRow[] = [];
  function addAny(
    method: Method,
    pattern: string,
    verb: Verb,
    handler: RouteHandler,
    subresource?: Subresource,
  ): void {
    const { group } = definition;
    rows.push({
      method,
      pattern,
      watch: verb === 'watch',
      subject: { type: 'resource', verb, group, resource: plural, subresource, definition },
      handler,
    });
  }
  /** For the verbs of the kind; its subresources have what they have. */
  const add: typeof addAny = (method, pattern, verb, handler, subresource) => {
    if (subresource === undefined && !definition.verbs.includes(verb)) return;
    addAny(method, pattern, verb, handler, subresource);
  };
  if (definition.storage === 'answered') {
    add('POST', collection, 'create', reviewHandler(parts, definition));
    return rows;
  }
  const everywhere = namespaced ? [collection, `${root}/${plural}`] : [collection];
  for (const pattern of everywhere) {
    add('GET', pattern, 'list', listHandler(parts, definition));
    // Whoever asks to watch what cannot be watched must not take a list for an answer.
    const isWatched = definition.verbs.includes('watch');
    const handler = isWatched ? watchHandler(parts, definition) : refuseWatch(definition);
    addAny('GET', pattern, 'watch', handler);
  }
  add('GET', object, 'get', getHandler(parts, definition));
  if (definition.storage === 'synthesized') return rows;
  add('POST', collection, 'create', createHandler(parts, definition));
  add('DELETE', collection, 'deletecollection', deleteCollectionHandler(parts, definition));
  add('PUT', object, 'update', updateHandler(parts, definition, 'main'));
  add('PATCH', object, 'patch', patchHandler(parts, definition, 'main'));
  add('DELETE', object, 'delete', deleteHandler(parts, definition));
  for (const subresource of definition.subresources) {
    const pattern = `${object}/${subresource}`;
    switch (subresource) {
      case 'status':
      case 'approval':
        add('GET', pattern, 'get', getHandler(parts, definition), subresource);
        add('PUT', pattern, 'update', updateHandler(parts, definition, 'status'), subresource);
        add('PATCH', pattern, 'patch', patchHandler(parts, definition, 'status'), subresource);
        break;
      case 'scale':
        add('GET', pattern, 'get', readScaleHandler(parts, definition), subresource);
        add('PUT', pattern, 'update', writeScaleHandler(parts, definition, 'PUT'), subresource);
        add('PATCH', pattern, 'patch', writeScaleHandler(parts, definition, 'PATCH'), subresource);
        break;
      case 'finalize':
        add('PUT', pattern, 'update', updateHandler(parts, definition, 'finalize'), subresource);
        break;
      case 'log':
        add('GET', pattern, 'get', podLogHandler(parts, definition), subresource);
        break;
      case 'exec':
      case 'attach': {
        // To run something there is to change it, whichever method a client asks with.
        const handler = podExecHandler(parts, definition, subresource);
        for (const method of ['GET', 'POST'] as const) {
          add(method, pattern, 'create', handler, subresource);
        }
        break;
      }
      case 'portforward': {
        const handler = podForwardHandler(parts, definition);
        for (const method of ['GET', 'POST'] as const) {
          add(method, pattern, 'create', handler, subresource);
        }
        break;
      }
      case 'token':
        add('POST', pattern, 'create', tokenRequestHandler(parts, definition), subresource);
        break;
      case 'eviction':
        add('POST', pattern, 'create', evictionHandler(parts, definition), subresource);
        break;
    }
  }
  return rows;
}

/** What is made on read has no history that could be watched. */
function refuseWatch(definition: ResourceDefinition): RouteHandler {
  const { group, plural } = definition;
  const kind = JSON.stringify(resourceName(definition));
  return async () => {
    throw new StatusError(
      'MethodNotAllowed',
      `watch is not supported on resources of kind ${kind}: they are made when they are read, list them again`,
      { kind: plural, group },
    );
  };
}

function joinRows(parts: ServerParts, sources: RouteSources): readonly RouteRow[] {
  return [
    {
      method: 'POST',
      pattern: '/apis/selvage.dev/v1/jointokens',
      watch: false,
      subject: {
        type: 'resource',
        verb: 'create',
        group: 'selvage.dev',
        resource: 'jointokens',
        subresource: undefined,
        definition: undefined,
      },
      handler: createTokenHandler(parts, sources.joinTokens),
    },
    {
      method: 'POST',
      pattern: '/apis/selvage.dev/v1/nodejoins',
      watch: false,
      subject: { type: 'path', verb: 'post', area: 'join' },
      handler: redeemTokenHandler(sources.joinTokens, sources.linkAddress),
    },
  ];
}

function certificateRows(certificates: NodeCertificates): readonly RouteRow[] {
  return [
    {
      method: 'POST',
      pattern: '/apis/selvage.dev/v1/noderenewals',
      watch: false,
      subject: { type: 'path', verb: 'post', area: 'join' },
      handler: renewHandler(certificates),
    },
    {
      method: 'POST',
      pattern: '/apis/selvage.dev/v1/noderevocations',
      watch: false,
      subject: {
        type: 'resource',
        verb: 'create',
        group: 'selvage.dev',
        resource: 'noderevocations',
        subresource: undefined,
        definition: undefined,
      },
      handler: revokeHandler(certificates),
    },
  ];
}

/** What an administrator asks of the server itself. */
function operatorRow(resource: string, handler: RouteHandler): RouteRow {
  return {
    method: 'POST',
    pattern: `/apis/selvage.dev/v1/${resource}`,
    watch: false,
    subject: {
      type: 'resource',
      verb: 'create',
      group: 'selvage.dev',
      resource,
      subresource: undefined,
      definition: undefined,
    },
    handler,
  };
}

const registryVerbs = {
  GET: 'get',
  HEAD: 'get',
  POST: 'post',
  PUT: 'put',
  PATCH: 'patch',
  DELETE: 'delete',
} as const;

function registryRows(handler: RegistryHandler): readonly RouteRow[] {
  return Object.entries(registryVerbs).map(([method, verb]) => ({
    method: method as Method,
    pattern: '/v2/{rest...}',
    watch: false,
    subject: { type: 'path', verb, area: 'registry' },
    handler: ({ request, parameters }) => handler(request, parameters['rest'] ?? ''),
  }));
}
