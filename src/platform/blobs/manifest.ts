/** Reading manifests and indexes that somebody else wrote: shapes are checked, sizes bounded. */
import { isJsonObject, type JsonObject, strictTextOf } from '#base/mod.ts';
import { isDigest } from './digest.ts';
import { BlobError } from './errors.ts';
import { mediaTypes, type OciIndex, type OciManifest } from './oci.ts';
import type { Digest } from './types.ts';

export const manifestBytesMax = 4 * 1024 * 1024;
const descriptorsMax = 1024;

export type ParsedManifest =
  | { readonly type: 'index'; readonly mediaType: string; readonly index: OciIndex }
  | { readonly type: 'manifest'; readonly mediaType: string; readonly manifest: OciManifest };

/**
 * Throws IMAGE_MANIFEST_INVALID. `contentType`, where known, must agree with the
 * manifest's own `mediaType`, and stands in where the manifest has none.
 */
export function parseManifest(bytes: Uint8Array, contentType?: string): ParsedManifest {
  let value: unknown;
  try {
    value = JSON.parse(strictTextOf(bytes));
  } catch (error) {
    throw new BlobError('IMAGE_MANIFEST_INVALID', 'the manifest is not JSON in UTF-8', error);
  }
  if (!isJsonObject(value) || value['schemaVersion'] !== 2) {
    throw invalid('the manifest is not an object with schemaVersion 2');
  }
  const own = value['mediaType'];
  if (own !== undefined && typeof own !== 'string') throw invalid('mediaType must be a string');
  if (own !== undefined && contentType !== undefined && own !== contentType) {
    throw invalid(`Content-Type is ${contentType}, but the manifest says mediaType ${own}`);
  }
  const mediaType = own ?? contentType ?? guessMediaType(value);
  switch (mediaType) {
    case mediaTypes.index:
    case mediaTypes.dockerManifestList:
      checkDescriptors(value['manifests'], 'manifests');
      return { type: 'index', mediaType, index: value as unknown as OciIndex };
    case mediaTypes.manifest:
    case mediaTypes.dockerManifest:
      checkDescriptors([value['config'] ?? null], 'config');
      checkDescriptors(value['layers'], 'layers');
      return { type: 'manifest', mediaType, manifest: value as unknown as OciManifest };
    default:
      throw invalid(`media type ${mediaType} is neither an image manifest nor an image index`);
  }
}

/** What must be there before the manifest may be: child manifests, or configuration and layers. */
export function digestsNamedBy(parsed: ParsedManifest): readonly Digest[] {
  return parsed.type === 'index'
    ? parsed.index.manifests.map((entry) => entry.digest)
    : [parsed.manifest.config.digest, ...parsed.manifest.layers.map((layer) => layer.digest)];
}

function guessMediaType(value: JsonObject): string {
  return 'manifests' in value ? mediaTypes.index : mediaTypes.manifest;
}

function checkDescriptors(list: unknown, field: string): void {
  if (!Array.isArray(list) || list.length > descriptorsMax) {
    throw invalid(`${field} must be a list of at most ${descriptorsMax} descriptors`);
  }
  for (const entry of list) {
    const platform: unknown = isJsonObject(entry) ? entry['platform'] : undefined;
    if (
      !isJsonObject(entry) ||
      !isDigest(entry['digest']) ||
      typeof entry['mediaType'] !== 'string' ||
      !Number.isSafeInteger(entry['size']) ||
      (entry['size'] as number) < 0
    ) {
      throw invalid(`${field} must hold descriptors with mediaType, sha256 digest and size`);
    }
    if (
      platform !== undefined &&
      (!isJsonObject(platform) ||
        typeof platform['os'] !== 'string' ||
        typeof platform['architecture'] !== 'string')
    ) {
      throw invalid(`a platform in ${field} must have os and architecture`);
    }
  }
}

function invalid(message: string): BlobError {
  return new BlobError('IMAGE_MANIFEST_INVALID', message);
}
