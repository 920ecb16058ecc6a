/**
 * The OCI distribution protocol under `/v2/`. Who may pull and push is decided
 * before a request gets here.
 *
 * Invariants:
 * 1. A manifest is stored only when everything that it names is stored already.
 * 2. Bodies are written to disk as they arrive; only manifests are held in memory.
 */
import type { JsonObject } from '#base/mod.ts';
import type { HttpRequest, HttpResponse } from '#platform/io/mod.ts';
import type { TaggedImages } from './image-catalog.ts';
import { isRepository, isTag } from './image-reference.ts';
import { mediaTypes } from './oci.ts';
import { answerToError, emptyAnswer, jsonAnswer, RegistryRefusal } from './registry-answers.ts';
import { beginUpload, serveBlob, serveUpload } from './registry-blobs.ts';
import { serveManifest } from './registry-manifests.ts';
import type { BlobStore } from './types.ts';

export type RegistryHandler = (request: HttpRequest, subpath: string) => Promise<HttpResponse>;

const pageEntriesMax = 1000;

/** `subpath` is the path after `/v2/`, as sent. */
export function createRegistryHandler(parts: {
  readonly blobs: BlobStore;
  readonly images: TaggedImages;
}): RegistryHandler {
  return async (request, subpath) => {
    try {
      return await route(parts, request, subpath);
    } catch (error) {
      const answer = answerToError(error);
      if (answer === undefined) throw error;
      return request.method === 'HEAD' ? { ...answer, body: new Uint8Array(0) } : answer;
    }
  };
}

async function route(
  parts: { readonly blobs: BlobStore; readonly images: TaggedImages },
  request: HttpRequest,
  subpath: string,
): Promise<HttpResponse> {
  const query = new URLSearchParams(request.query);
  const isRead = request.method === 'GET' || request.method === 'HEAD';
  if (subpath === '') {
    if (!isRead) throw methodRefusal('GET and HEAD');
    return request.method === 'HEAD' ? emptyAnswer(200) : jsonAnswer(200, {});
  }
  if (subpath === '_catalog') {
    if (!isRead) throw methodRefusal('GET and HEAD');
    return page(request, query, 'repositories', parts.images.listRepositories(), {});
  }
  const match = /^(.+)\/(blobs|manifests|tags|referrers)\/(.*)$/.exec(decoded(subpath));
  const upload = /^(.+)\/blobs\/uploads\/([^/]*)$/.exec(decoded(subpath));
  const repository = upload?.[1] ?? match?.[1] ?? '';
  if (match === null) throw new RegistryRefusal(404, 'NAME_UNKNOWN', 'no such registry address');
  if (!isRepository(repository)) {
    throw new RegistryRefusal(400, 'NAME_INVALID', `"${repository}" is no repository name`);
  }
  if (upload !== null) {
    const id = upload[2] ?? '';
    if (id !== '') return serveUpload(parts.blobs, request, repository, id, query);
    if (request.method !== 'POST') throw methodRefusal('POST');
    return beginUpload(parts.blobs, request, repository, query);
  }
  const rest = match[3] ?? '';
  switch (match[2] ?? '') {
    case 'blobs':
      if (!isRead) throw methodRefusal('GET and HEAD');
      return serveBlob(parts.blobs, request, rest);
    case 'manifests':
      return serveManifest(parts, request, repository, rest);
    case 'tags': {
      if (rest !== 'list' || !isRead) throw methodRefusal('GET of tags/list');
      const tags = parts.images.listTags(repository);
      if (tags.length === 0) {
        throw new RegistryRefusal(404, 'NAME_UNKNOWN', `there is no repository ${repository}`);
      }
      return page(request, query, 'tags', tags, { name: repository });
    }
    default:
      if (!isRead) throw methodRefusal('GET and HEAD');
      // Nothing here refers to another manifest: the list is truly empty.
      return jsonAnswer(
        200,
        { schemaVersion: 2, mediaType: mediaTypes.index, manifests: [] },
        { 'content-type': mediaTypes.index },
      );
  }
}

function page(
  request: HttpRequest,
  query: URLSearchParams,
  field: string,
  names: readonly string[],
  more: JsonObject,
): HttpResponse {
  const asked = query.get('n') ?? `${pageEntriesMax}`;
  const last = query.get('last') ?? '';
  if (!/^\d{1,6}$/.test(asked) || (last !== '' && !isRepository(last) && !isTag(last))) {
    throw new RegistryRefusal(400, 'UNSUPPORTED', '"n" is a count and "last" is a name');
  }
  const count = Math.min(Number(asked), pageEntriesMax);
  const after = names.filter((name) => last === '' || name > last);
  const shown = after.slice(0, count);
  const final = shown.at(-1);
  const link =
    shown.length < after.length && final !== undefined
      ? { link: `<${request.path}?n=${count}&last=${encodeURIComponent(final)}>; rel="next"` }
      : {};
  return jsonAnswer(200, { ...more, [field]: [...shown] }, link);
}

function decoded(subpath: string): string {
  try {
    return decodeURIComponent(subpath);
  } catch {
    throw new RegistryRefusal(400, 'NAME_INVALID', 'the address is not percent-encoded UTF-8');
  }
}

function methodRefusal(allowed: string): RegistryRefusal {
  return new RegistryRefusal(405, 'UNSUPPORTED', `this address takes ${allowed} only`);
}
