/** What the server says of itself: discovery, OpenAPI, version, health. */
import { utf8 } from '#base/mod.ts';
import {
  aggregatedDiscoveryMediaType,
  aggregatedDiscoveryOf,
  apiGroupListOf,
  apiGroupOf,
  apiResourceListOf,
  coreVersionsOf,
  openApiDocumentsOf,
  StatusError,
} from '#platform/api/mod.ts';
import { bytesAnswer, isPretty, jsonAnswer } from '../answers.ts';
import type { ServerParts, VersionInfo } from '../dependencies.ts';
import { openApiTwoContentType, openApiTwoDocument } from '../openapi-two.ts';
import type { RequestContext, RouteHandler, RouteRow } from '../route-table.ts';
import { healthRows } from './health.ts';

/** The version of the Kubernetes API whose clients fit. */
const kubernetesMajor = '1';
const kubernetesMinor = '32';

export function descriptionRows(parts: ServerParts, version: VersionInfo): readonly RouteRow[] {
  const { registry } = parts;
  const documents = openApiDocumentsOf(registry, version.version);
  const discovery =
    (part: 'core' | 'groups'): RouteHandler =>
    async ({ acceptance, query }) => {
      const pretty = isPretty(query);
      if (acceptance.form === 'discovery' && acceptance.version === 'v2') {
        return jsonAnswer(200, aggregatedDiscoveryOf(registry, part), {
          pretty,
          contentType: aggregatedDiscoveryMediaType,
        });
      }
      const plain = part === 'core' ? coreVersionsOf(registry) : apiGroupListOf(registry);
      return jsonAnswer(200, plain, { pretty });
    };
  return [
    path('/api', 'discovery', discovery('core')),
    path('/apis', 'discovery', discovery('groups')),
    path('/api/{version}', 'discovery', async (context) =>
      found(context, apiResourceListOf(registry, '', context.parameters['version'] ?? '')),
    ),
    path('/apis/{group}', 'discovery', async (context) =>
      found(context, apiGroupOf(registry, context.parameters['group'] ?? '')),
    ),
    path('/apis/{group}/{version}', 'discovery', async (context) => {
      const { group = '', version = '' } = context.parameters;
      return found(context, apiResourceListOf(registry, group, version));
    }),
    path('/openapi/v2', 'discovery', async () =>
      bytesAnswer(200, openApiTwoDocument(version.version), openApiTwoContentType),
    ),
    path('/openapi/v3', 'discovery', async ({ query }) =>
      jsonAnswer(200, documents.index, { pretty: isPretty(query) }),
    ),
    path('/openapi/v3/api/{version}', 'discovery', async (context) =>
      openApi(context, documents.document('', context.parameters['version'] ?? '')),
    ),
    path('/openapi/v3/apis/{group}/{version}', 'discovery', async (context) => {
      const { group = '', version = '' } = context.parameters;
      return openApi(context, documents.document(group, version));
    }),
    path('/version', 'version', async ({ query }) =>
      jsonAnswer(200, versionOf(version), { pretty: isPretty(query) }),
    ),
    ...healthRows(parts),
  ];
}

function path(pattern: string, area: 'discovery' | 'version', handler: RouteHandler): RouteRow {
  return {
    method: 'GET',
    pattern,
    watch: false,
    subject: { type: 'path', verb: 'get', area },
    handler,
  };
}

function found({ request, query }: RequestContext, value: unknown): ReturnType<typeof jsonAnswer> {
  if (value === undefined) {
    throw new StatusError('NotFound', `the server serves nothing at ${request.path}`);
  }
  return jsonAnswer(200, value, { pretty: isPretty(query) });
}

function openApi(
  { request }: RequestContext,
  document: { readonly text: string; readonly hash: string } | undefined,
): ReturnType<typeof bytesAnswer> {
  if (document === undefined) {
    throw new StatusError('NotFound', `there is no OpenAPI document at ${request.path}`);
  }
  const etag = `"${document.hash}"`;
  if (request.headers['if-none-match'] === etag) {
    return { status: 304, headers: { etag }, body: new Uint8Array(0) };
  }
  return bytesAnswer(200, utf8(document.text), 'application/json', { etag, vary: 'Accept' });
}

function versionOf(version: VersionInfo): Readonly<Record<string, string>> {
  return {
    major: kubernetesMajor,
    minor: kubernetesMinor,
    gitVersion: `v${kubernetesMajor}.${kubernetesMinor}.0+selvage-${version.version}`,
    gitCommit: version.gitCommit,
    gitTreeState: 'clean',
    buildDate: version.buildDate,
    goVersion: 'none',
    compiler: 'none',
    platform: version.platform,
  };
}
