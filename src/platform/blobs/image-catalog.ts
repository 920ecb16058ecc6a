/**
 * The tags of the built-in registry: internal objects of the main store, so that
 * they are durable, ordered and watched like everything else.
 *
 * Invariants:
 * 1. A tag names a manifest or index that is in the blob store when it is written.
 * 2. The key's name is `repository:tag` with `!` for `/`; neither part can hold either.
 */
import { isJsonObject, strictTextOf, type Uid, utf8 } from '#base/mod.ts';
import type { Random } from '#platform/io/mod.ts';
import type { ObjectKey, Store, StoredObject } from '#platform/store/mod.ts';
import { BlobError } from './errors.ts';
import { isRepository, isTag, parseImageReference } from './image-reference.ts';
import { manifestBytesMax, parseManifest } from './manifest.ts';
import { platformText } from './oci.ts';
import type { BlobStore, Digest, ImageCatalog, ResolvedImage } from './types.ts';

const resource = 'imagetags.selvage.dev';
const tagsMax = 10_000;
const platformsCacheEntriesMax = 1024;
const configBytesMax = 1024 * 1024;

export interface ImageTag {
  readonly repository: string;
  readonly tag: string;
  readonly digest: Digest;
  readonly mediaType: string;
}

export interface TaggedImages extends ImageCatalog {
  /** Adds or moves a tag. Throws IMAGE_REFERENCE_INVALID, IMAGE_TAGS_FULL, BLOB_NOT_FOUND. */
  tag(repository: string, tag: string, digest: Digest, mediaType: string): Promise<void>;
  /** False where there was no such tag. */
  untag(repository: string, tag: string): Promise<boolean>;
  find(repository: string, tag: string): ImageTag | undefined;
  /** Sorted. */
  listTags(repository: string): readonly string[];
  /** Sorted; those with at least one tag. */
  listRepositories(): readonly string[];
  /** Every tag there is, sorted by name. */
  listAll(): readonly ImageTag[];
  /** Ends the watch on the store. */
  close(): void;
}

export function createImageCatalog(store: Store, blobs: BlobStore, random: Random): TaggedImages {
  const listeners: (() => void)[] = [];
  const platformsOf = new Map<Digest, ResolvedImage>();
  const watch = store.watch(store.head().sequence, (batch) => {
    const added = batch.events.some(
      (event) => event.type === 'put' && event.object.key.resource === resource,
    );
    if (added) for (const listener of listeners) listener();
  });

  async function describe(digest: Digest): Promise<ResolvedImage> {
    const known = platformsOf.get(digest);
    if (known !== undefined) return known;
    const described = await describeImage(blobs, digest);
    if (platformsOf.size >= platformsCacheEntriesMax) platformsOf.clear();
    platformsOf.set(digest, described);
    return described;
  }

  function find(repository: string, tag: string): ImageTag | undefined {
    const object = store.get(keyOf(repository, tag));
    return object === undefined ? undefined : tagOf(object);
  }

  return {
    async resolve(reference) {
      const { registry, repository, tag, digest } = parseImageReference(reference);
      if (registry !== undefined) return undefined;
      const wanted = digest ?? find(repository, tag ?? 'latest')?.digest;
      if (wanted === undefined || (await blobs.sizeBytes(wanted)) === undefined) return undefined;
      return describe(wanted).catch((error: unknown) => {
        // Set aside: it is not here any more, until it is pushed again.
        if (error instanceof BlobError && error.code === 'BLOB_DAMAGED') return undefined;
        throw error;
      });
    },
    onChange(listener) {
      listeners.push(listener);
    },
    async tag(repository, tag, digest, mediaType) {
      if (!isRepository(repository) || !isTag(tag)) {
        throw new BlobError('IMAGE_REFERENCE_INVALID', `"${repository}:${tag}" is no image name`);
      }
      if ((await blobs.sizeBytes(digest)) === undefined) {
        throw new BlobError('BLOB_NOT_FOUND', `there is no manifest ${digest} to tag`);
      }
      const uid = random.uuid() as Uid;
      const key = keyOf(repository, tag);
      const bytes = utf8(JSON.stringify({ repository, tag, digest, mediaType }));
      await store.transact((view) => {
        const existing = view.get(key);
        if (existing === undefined && view.list(resource).length >= tagsMax) {
          throw new BlobError('IMAGE_TAGS_FULL', `the registry holds at most ${tagsMax} tags`);
        }
        if (existing !== undefined && tagOf(existing).digest === digest) {
          return { changes: [], result: undefined };
        }
        return {
          changes: [{ type: 'put', key, uid: existing?.uid ?? uid, facet: 'intent', bytes }],
          result: undefined,
        };
      });
    },
    async untag(repository, tag) {
      const key = keyOf(repository, tag);
      const { result } = await store.transact((view) => {
        const existing = view.get(key);
        return existing === undefined
          ? { changes: [], result: false }
          : { changes: [{ type: 'delete', key, uid: existing.uid }], result: true };
      });
      return result;
    },
    find,
    listTags: (repository) =>
      store
        .list(resource)
        .map(tagOf)
        .filter((tag) => tag.repository === repository)
        .map((tag) => tag.tag)
        .sort(),
    listRepositories: () => [
      ...new Set(
        store
          .list(resource)
          .map((object) => tagOf(object).repository)
          .sort(),
      ),
    ],
    listAll: () => store.list(resource).map(tagOf),
    close: () => watch.close(),
  };
}

async function describeImage(blobs: BlobStore, digest: Digest): Promise<ResolvedImage> {
  const parsed = parseManifest(await blobs.readAll(digest, manifestBytesMax));
  if (parsed.type === 'index') {
    const platforms = parsed.index.manifests.flatMap(({ platform }) =>
      platform === undefined ? [] : [platformText(platform)],
    );
    const byPlatform: Record<string, Digest> = {};
    for (const entry of parsed.index.manifests) {
      if (entry.platform !== undefined) byPlatform[platformText(entry.platform)] ??= entry.digest;
    }
    const { mediaType } = parsed;
    return { digest, mediaType, platforms: [...new Set(platforms)], byPlatform };
  }
  const configBytes = await blobs.readAll(parsed.manifest.config.digest, configBytesMax);
  const config = parseConfig(configBytes);
  const os = isJsonObject(config) ? config['os'] : undefined;
  const architecture = isJsonObject(config) ? config['architecture'] : undefined;
  const platforms =
    typeof os === 'string' && typeof architecture === 'string'
      ? [platformText({ os, architecture })]
      : [];
  const byPlatform = Object.fromEntries(platforms.map((platform) => [platform, digest]));
  return { digest, mediaType: parsed.mediaType, platforms, byPlatform };
}

function parseConfig(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(strictTextOf(bytes));
  } catch (error) {
    throw new BlobError(
      'IMAGE_MANIFEST_INVALID',
      "the image's configuration is not JSON in UTF-8",
      error,
    );
  }
}

function keyOf(repository: string, tag: string): ObjectKey {
  // A slash separates the parts of a key; no repository and no tag holds an exclamation mark.
  return { resource, namespace: '', name: `${repository.replaceAll('/', '!')}:${tag}` };
}

function tagOf(object: StoredObject): ImageTag {
  const bytes = object.facets.intent?.bytes;
  if (bytes === undefined) throw new BlobError('BLOB_DAMAGED', `tag ${object.key.name} is empty`);
  return JSON.parse(strictTextOf(bytes)) as ImageTag;
}
