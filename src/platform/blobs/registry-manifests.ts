/** The registry protocol for manifests: by tag or digest, complete or refused. */
import { type HttpRequest, type HttpResponse, readBody } from '#platform/io/mod.ts';
import { digestOf, isDigest } from './digest.ts';
import type { TaggedImages } from './image-catalog.ts';
import { isTag } from './image-reference.ts';
import { digestsNamedBy, manifestBytesMax, parseManifest } from './manifest.ts';
import { emptyAnswer, RegistryRefusal } from './registry-answers.ts';
import type { BlobStore, Digest } from './types.ts';

interface Parts {
  readonly blobs: BlobStore;
  readonly images: TaggedImages;
}

export async function serveManifest(
  parts: Parts,
  request: HttpRequest,
  repository: string,
  reference: string,
): Promise<HttpResponse> {
  switch (request.method) {
    case 'GET':
    case 'HEAD':
      return readManifest(parts, request.method, repository, reference);
    case 'PUT':
      return writeManifest(parts, request, repository, reference);
    case 'DELETE':
      return removeManifest(parts, repository, reference);
    default:
      throw new RegistryRefusal(405, 'UNSUPPORTED', 'a manifest takes GET, HEAD, PUT and DELETE');
  }
}

async function readManifest(
  { blobs, images }: Parts,
  method: string,
  repository: string,
  reference: string,
): Promise<HttpResponse> {
  const digest = isDigest(reference) ? reference : images.find(repository, reference)?.digest;
  if (digest === undefined || (await blobs.intactSizeBytes(digest)) === undefined) {
    throw unknownManifest(repository, reference);
  }
  const bytes = await blobs.readAll(digest, manifestBytesMax);
  const { mediaType } = parseManifest(bytes);
  return {
    status: 200,
    headers: {
      'content-type': mediaType,
      'content-length': `${bytes.length}`,
      'docker-content-digest': digest,
      'docker-distribution-api-version': 'registry/2.0',
      etag: `"${digest}"`,
    },
    body: method === 'HEAD' ? new Uint8Array(0) : bytes,
  };
}

async function writeManifest(
  { blobs, images }: Parts,
  request: HttpRequest,
  repository: string,
  reference: string,
): Promise<HttpResponse> {
  if (!isDigest(reference) && !isTag(reference)) {
    throw new RegistryRefusal(400, 'NAME_INVALID', `"${reference}" is neither a tag nor a digest`);
  }
  const bytes = await readBody(request.body, manifestBytesMax);
  const contentType = request.headers['content-type']?.split(';')[0]?.trim();
  const parsed = parseManifest(bytes, contentType);
  const actual = digestOf(bytes);
  if (isDigest(reference) && reference !== actual) {
    throw new RegistryRefusal(
      400,
      'DIGEST_INVALID',
      `the bytes that arrived have the digest ${actual}, not ${reference}`,
    );
  }
  for (const digest of new Set(digestsNamedBy(parsed))) {
    if ((await blobs.intactSizeBytes(digest)) === undefined) {
      throw new RegistryRefusal(
        404,
        'MANIFEST_BLOB_UNKNOWN',
        `the manifest names ${digest}, which has not been pushed`,
        { detail: { digest } },
      );
    }
  }
  await blobs.put(bytes);
  if (!isDigest(reference)) await images.tag(repository, reference, actual, parsed.mediaType);
  return emptyAnswer(201, {
    location: `/v2/${repository}/manifests/${actual}`,
    'docker-content-digest': actual,
  });
}

/** A tag goes alone; a digest goes with this repository's tags of it. */
async function removeManifest(
  { blobs, images }: Parts,
  repository: string,
  reference: string,
): Promise<HttpResponse> {
  if (!isDigest(reference)) {
    if (!(await images.untag(repository, reference))) throw unknownManifest(repository, reference);
    return emptyAnswer(202);
  }
  if ((await blobs.intactSizeBytes(reference)) === undefined)
    throw unknownManifest(repository, reference);
  for (const { repository: owner, tag, digest } of images.listAll()) {
    if (owner === repository && digest === reference) await images.untag(owner, tag);
  }
  if (!(await isStillNamed({ blobs, images }, reference))) await blobs.remove(reference);
  return emptyAnswer(202);
}

async function isStillNamed({ blobs, images }: Parts, digest: Digest): Promise<boolean> {
  for (const tagged of new Set(images.listAll().map((tag) => tag.digest))) {
    if (tagged === digest) return true;
    const parsed = parseManifest(await blobs.readAll(tagged, manifestBytesMax));
    if (digestsNamedBy(parsed).includes(digest)) return true;
  }
  return false;
}

function unknownManifest(repository: string, reference: string): RegistryRefusal {
  return new RegistryRefusal(
    404,
    'MANIFEST_UNKNOWN',
    `there is no image ${repository}${isDigest(reference) ? '@' : ':'}${reference}`,
  );
}
