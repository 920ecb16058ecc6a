/** The API client: names to paths, objects to bytes, Status objects to errors. */
import { errorText, isJsonObject, type JsonObject, strictTextOf, utf8 } from '#base/mod.ts';
import type { ApiObject, GroupVersionResource } from '#platform/api/mod.ts';
import { readBody } from '#platform/io/mod.ts';
import { ClientError } from './errors.ts';
import { statusErrorOf } from './status-of-answer.ts';
import type { Transport, TransportResponse } from './transport.ts';
import type { Client, DeleteOptions, ListOptions, ObjectList } from './types.ts';
import { startWatch } from './watch.ts';

/** Lists and watches by it have objects of the kind PartialObjectMetadata. */
const metadataMediaType =
  'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,' +
  'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1';

/** Objects that a list asks for at once: neither side has more of it as text in memory. */
const listPieceMax = 1000;

/** Of one answer that is not a stream: a list of a whole fleet. */
const answerBytesMax = 256 * 1024 * 1024;

export interface ClientOptions {
  /** Who is asking, for the server's log: `selvage-controllers/0.1.0`. */
  readonly userAgent: string;
}

export function createClient(transport: Transport, options: ClientOptions): Client {
  const headers = { accept: 'application/json', 'user-agent': options.userAgent };
  const metadataHeaders = { ...headers, accept: metadataMediaType };
  const headersFor = ({ form }: ListOptions): typeof headers =>
    form === 'metadata' ? metadataHeaders : headers;

  async function send(
    method: string,
    target: string,
    body?: JsonObject | ApiObject,
    contentType = 'application/json',
    own = headers,
  ): Promise<JsonObject> {
    const response = await transport({
      method,
      target,
      headers: body === undefined ? own : { ...own, 'content-type': contentType },
      ...(body === undefined ? {} : { body: utf8(JSON.stringify(body)) }),
    });
    return readAnswer(response);
  }

  async function sendObject(...request: Parameters<typeof send>): Promise<ApiObject> {
    return (await send(...request)) as unknown as ApiObject;
  }

  return {
    get: (resource, namespace, name, subresource) => {
      const path = pathOf(resource, namespace, name);
      return sendObject('GET', subresource === undefined ? path : `${path}/${subresource}`);
    },

    async list(resource, options = {}): Promise<ObjectList> {
      const path = pathOf(resource, options.namespace ?? '');
      const all: ApiObject[] = [];
      for (let rest = ''; ;) {
        const query = { ...selectorsOf(options), limit: String(listPieceMax) };
        const target = withQuery(path, rest === '' ? query : { ...query, continue: rest });
        const answer = await send('GET', target, undefined, undefined, headersFor(options));
        const items = answer['items'];
        const metadata = isJsonObject(answer['metadata']) ? answer['metadata'] : {};
        const { resourceVersion, continue: more } = metadata;
        if (!Array.isArray(items) || typeof resourceVersion !== 'string') {
          throw new ClientError('CLIENT_ANSWER_MALFORMED', `the answer to ${path} is not a list`);
        }
        for (const item of items) all.push(item as unknown as ApiObject);
        if (typeof more !== 'string' || more === '') return { items: all, resourceVersion };
        rest = more;
      }
    },

    watch(resource, options, handlers) {
      const path = pathOf(resource, options.namespace ?? '');
      const target = withQuery(path, {
        watch: 'true',
        allowWatchBookmarks: 'true',
        resourceVersion: options.resourceVersion,
        ...selectorsOf(options),
      });
      return startWatch(
        () => transport({ method: 'GET', target, headers: headersFor(options), isStream: true }),
        readAnswer,
        handlers,
      );
    },

    create: (resource, object) =>
      sendObject('POST', pathOf(resource, object.metadata.namespace ?? ''), object),

    update: (resource, object) => sendObject('PUT', pathOfObject(resource, object), object),

    updateStatus: (resource, object) =>
      sendObject('PUT', `${pathOfObject(resource, object)}/status`, object),

    finalize: (resource, object) =>
      sendObject('PUT', `${pathOfObject(resource, object)}/finalize`, object),

    mergePatch: (resource, namespace, name, patch, subresource) =>
      sendObject(
        'PATCH',
        pathOf(resource, namespace, name) + (subresource === undefined ? '' : `/${subresource}`),
        patch,
        'application/merge-patch+json',
      ),

    async delete(resource, namespace, name, options = {}) {
      await send('DELETE', pathOf(resource, namespace, name), deleteOptionsOf(options));
    },
  };
}

/** Collects the answer. Throws StatusError for a refusal, ClientError where it is not JSON. */
async function readAnswer(response: TransportResponse): Promise<JsonObject> {
  const text = strictTextOf(await readBody(response.body, answerBytesMax));
  const refused = response.status < 200 || response.status > 299;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (refused) throw statusErrorOf(undefined, response.status);
    throw malformed(`the answer is not JSON: ${errorText(error)}`, error);
  }
  if (refused) throw statusErrorOf(value, response.status);
  if (!isJsonObject(value)) throw malformed('the answer is not an object');
  return value;
}

function malformed(message: string, cause?: unknown): ClientError {
  return new ClientError('CLIENT_ANSWER_MALFORMED', message, cause);
}

/** An empty namespace means cluster-wide: an object outside namespaces, or a list over all. */
function pathOf(resource: GroupVersionResource, namespace: string, name?: string): string {
  const root =
    resource.group === ''
      ? `/api/${resource.version}`
      : `/apis/${resource.group}/${resource.version}`;
  const scope = namespace === '' ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
  const object = name === undefined ? '' : `/${encodeURIComponent(name)}`;
  return `${root}${scope}/${resource.plural}${object}`;
}

function pathOfObject(resource: GroupVersionResource, { metadata }: ApiObject): string {
  return pathOf(resource, metadata.namespace ?? '', metadata.name);
}

function withQuery(path: string, parameters: Readonly<Record<string, string>>): string {
  const query = new URLSearchParams(parameters).toString();
  return query === '' ? path : `${path}?${query}`;
}

function selectorsOf({ labelSelector, fieldSelector }: ListOptions): Record<string, string> {
  return {
    ...(labelSelector === undefined ? {} : { labelSelector }),
    ...(fieldSelector === undefined ? {} : { fieldSelector }),
  };
}

function deleteOptionsOf(options: DeleteOptions): JsonObject {
  const { propagationPolicy, gracePeriodSeconds, uid } = options;
  return {
    apiVersion: 'v1',
    kind: 'DeleteOptions',
    ...(propagationPolicy === undefined ? {} : { propagationPolicy }),
    ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
    ...(uid === undefined ? {} : { preconditions: { uid } }),
  };
}
