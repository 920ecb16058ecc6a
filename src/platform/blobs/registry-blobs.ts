/** The registry protocol for blobs: reading with ranges, uploads in one piece or many. */
import type { HttpRequest, HttpResponse } from '#platform/io/mod.ts';
import { parseDigest } from './digest.ts';
import { emptyAnswer, RegistryRefusal, streamBytes } from './registry-answers.ts';
import type { BlobStore, BlobUpload } from './types.ts';

export async function serveBlob(
  blobs: BlobStore,
  request: HttpRequest,
  digestText: string,
): Promise<HttpResponse> {
  const digest = parseDigest(digestText);
  const size = await blobs.intactSizeBytes(digest);
  if (size === undefined) throw new RegistryRefusal(404, 'BLOB_UNKNOWN', `no blob ${digest}`);
  const headers = {
    'content-type': 'application/octet-stream',
    'docker-content-digest': digest,
    'accept-ranges': 'bytes',
    etag: `"${digest}"`,
  };
  if (request.method === 'HEAD')
    return emptyAnswer(200, { ...headers, 'content-length': `${size}` });
  const range = rangeOf(request.headers['range'], size);
  const first = range?.first ?? 0;
  const lengthBytes = range === undefined ? size : range.last - first + 1;
  const all = {
    ...headers,
    'content-length': `${lengthBytes}`,
    ...(range === undefined ? {} : { 'content-range': `bytes ${first}-${range.last}/${size}` }),
  };
  if (lengthBytes === 0) return emptyAnswer(200, all);
  return {
    status: range === undefined ? 200 : 206,
    headers: all,
    body: streamBytes(blobs.read(digest, first), lengthBytes),
  };
}

/** A single range of `bytes=`; undefined where the header asks for nothing that is served. */
function rangeOf(
  header: string | undefined,
  size: number,
): { readonly first: number; readonly last: number } | undefined {
  const match = /^bytes=(\d{1,15})?-(\d{1,15})?$/.exec(header ?? '');
  if (match === null || (match[1] === undefined && match[2] === undefined)) return undefined;
  const suffix = match[1] === undefined;
  const first = suffix ? Math.max(0, size - Number(match[2])) : Number(match[1]);
  const last = suffix || match[2] === undefined ? size - 1 : Math.min(size - 1, Number(match[2]));
  if (first > last) {
    throw new RegistryRefusal(416, 'SIZE_INVALID', `the blob has ${size} bytes`, {
      headers: { 'content-range': `bytes */${size}` },
    });
  }
  return { first, last };
}

/** POST …/blobs/uploads/: whole in one request with `digest=`, else a place to send it to. */
export async function beginUpload(
  blobs: BlobStore,
  request: HttpRequest,
  repository: string,
  query: URLSearchParams,
): Promise<HttpResponse> {
  const mounted = query.get('mount');
  if (mounted !== null) {
    // Blobs are one pool for all repositories: what is there is mounted already.
    const digest = parseDigest(mounted);
    if ((await blobs.intactSizeBytes(digest)) !== undefined) return created(repository, digest);
  }
  const whole = query.get('digest');
  const digest = whole === null ? undefined : parseDigest(whole);
  const upload = await blobs.begin();
  if (digest !== undefined) {
    await receive(upload, request);
    await upload.commit(digest);
    return created(repository, digest);
  }
  return uploadState(202, repository, upload);
}

/** GET, PATCH, PUT and DELETE of one upload. */
export async function serveUpload(
  blobs: BlobStore,
  request: HttpRequest,
  repository: string,
  id: string,
  query: URLSearchParams,
): Promise<HttpResponse> {
  const upload = blobs.upload(id);
  if (upload === undefined) {
    throw new RegistryRefusal(404, 'BLOB_UPLOAD_UNKNOWN', 'this upload has ended or never began');
  }
  switch (request.method) {
    case 'GET':
      return uploadState(204, repository, upload);
    case 'PATCH':
      checkContentRange(request, repository, upload);
      await receive(upload, request);
      return uploadState(202, repository, upload);
    case 'PUT': {
      const text = query.get('digest');
      if (text === null) {
        throw new RegistryRefusal(400, 'DIGEST_INVALID', 'finish an upload with ?digest=sha256:…');
      }
      const digest = parseDigest(text);
      checkContentRange(request, repository, upload);
      await receive(upload, request);
      await upload.commit(digest);
      return created(repository, digest);
    }
    case 'DELETE':
      await upload.cancel();
      return emptyAnswer(204);
    default:
      throw new RegistryRefusal(405, 'UNSUPPORTED', 'an upload takes GET, PATCH, PUT and DELETE');
  }
}

async function receive(upload: BlobUpload, request: HttpRequest): Promise<void> {
  // An empty append makes the file, so that an empty blob is one too.
  await upload.append(new Uint8Array(0));
  for await (const part of request.body) await upload.append(part);
}

function checkContentRange(request: HttpRequest, repository: string, upload: BlobUpload): void {
  const header = request.headers['content-range'];
  if (header === undefined) return;
  const match = /^(?:bytes )?(\d{1,15})-(\d{1,15})(?:\/(?:\d+|\*))?$/.exec(header);
  if (match === null || Number(match[1]) !== upload.sizeBytes) {
    throw new RegistryRefusal(
      416,
      'BLOB_UPLOAD_INVALID',
      `the next byte of this upload is ${upload.sizeBytes}, but Content-Range is "${header}"`,
      { headers: stateHeaders(repository, upload) },
    );
  }
}

function uploadState(status: number, repository: string, upload: BlobUpload): HttpResponse {
  return emptyAnswer(status, stateHeaders(repository, upload));
}

function stateHeaders(repository: string, upload: BlobUpload): Record<string, string> {
  return {
    location: `/v2/${repository}/blobs/uploads/${upload.id}`,
    range: `0-${Math.max(0, upload.sizeBytes - 1)}`,
    'docker-upload-uuid': upload.id,
  };
}

function created(repository: string, digest: string): HttpResponse {
  return emptyAnswer(201, {
    location: `/v2/${repository}/blobs/${digest}`,
    'docker-content-digest': digest,
  });
}
