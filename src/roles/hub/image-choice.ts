/** Which bytes each image of a pod means: by its tag, and by the runtime that the pod's class names. */
import { isJsonObject, ownOf } from '#base/mod.ts';
import { runtimePlatforms } from '#platform/api/mod.ts';
import { BlobError, parseImageReference, type ResolvedImage } from '#platform/blobs/mod.ts';
import type { StoredObject, StoreView } from '#platform/store/mod.ts';
import type { ImageProblem } from './image-waiting.ts';
import { imagesOf, readFacet } from './stored-facets.ts';

export interface ChosenImages {
  readonly type: 'chosen';
  readonly digests: Record<string, string>;
  /** In the order of `imagesOf`. */
  readonly platforms: readonly (readonly string[])[];
  /** The runtime that must run them; undefined: any that can. */
  readonly runtime: string | undefined;
}

export interface NoImages {
  readonly type: 'none';
  readonly reason: string;
  readonly message: string;
  /** What is wrong with each of its images, by reference; none: it is not for its images. */
  readonly problems: ReadonlyMap<string, ImageProblem>;
}

/** What a reference stands for: undefined where nothing is known of it, or why it cannot be read. */
export type Resolution = ResolvedImage | BlobError | undefined;

/** `resolved`: by reference. */
export function chooseImages(
  view: Pick<StoreView, 'get'>,
  pod: StoredObject,
  resolved: ReadonlyMap<string, Resolution>,
): ChosenImages | NoImages {
  const className = runtimeClassOf(pod);
  const runtime = className === undefined ? undefined : handlerOf(view, className);
  if (className !== undefined && runtime === undefined) {
    const message = `spec.runtimeClassName is ${JSON.stringify(className)}, and there is no such RuntimeClass`;
    return { type: 'none', reason: 'RuntimeClassNotFound', message, problems: new Map() };
  }
  const digests: Record<string, string> = {};
  const platforms: (readonly string[])[] = [];
  const problems = new Map<string, ImageProblem & { readonly why: string }>();
  for (const reference of imagesOf(pod)) {
    const image = resolved.get(reference);
    if (image === undefined || image instanceof BlobError) {
      problems.set(reference, problemOf(reference, image));
      continue;
    }
    // A runtime that is not known here is on no node, which the plan says.
    const known = runtime === undefined ? undefined : ownOf(runtimePlatforms, runtime);
    if (known === undefined) {
      digests[reference] = image.digest;
      platforms.push(image.platforms);
      continue;
    }
    const platform = known.find((one) => image.byPlatform[one] !== undefined);
    const digest = platform === undefined ? undefined : image.byPlatform[platform];
    if (platform === undefined || digest === undefined) {
      const message = `image ${reference} is for ${image.platforms.join(', ')}; RuntimeClass ${className} runs ${known.join(', ')}`;
      problems.set(reference, { reason: 'ErrImagePull', why: 'ImageUnsuitable', message });
      continue;
    }
    digests[reference] = digest;
    platforms.push([platform]);
  }
  const [first] = problems.values();
  return first === undefined
    ? { type: 'chosen', digests, platforms, runtime }
    : { type: 'none', reason: first.why, message: first.message, problems };
}

function runtimeClassOf(pod: StoredObject): string | undefined {
  const spec = readFacet(pod, 'intent')?.['spec'];
  const name = isJsonObject(spec) ? spec['runtimeClassName'] : undefined;
  return typeof name === 'string' && name !== '' ? name : undefined;
}

function handlerOf(view: Pick<StoreView, 'get'>, name: string): string | undefined {
  const found = view.get({ resource: 'runtimeclasses.node.k8s.io', namespace: '', name });
  const handler = found === undefined ? undefined : readFacet(found, 'intent')?.['handler'];
  return typeof handler === 'string' ? handler : undefined;
}

/** `why` is the word for it in the condition of the pod. */
function problemOf(
  reference: string,
  error: BlobError | undefined,
): ImageProblem & { readonly why: string } {
  if (error?.code === 'IMAGE_REFERENCE_INVALID') {
    const message = `${JSON.stringify(reference)} is no image name: ${error.message}`;
    return { reason: 'InvalidImageName', why: 'InvalidImageName', message };
  }
  if (error !== undefined) {
    const message = `image ${reference} cannot be read: ${error.message}; push it again with: selvage image push <folder> ${reference}`;
    return { reason: 'ErrImagePull', why: 'ImageUnreadable', message };
  }
  const { registry, repository, tag, digest } = parseImageReference(reference);
  const missing = { reason: 'ErrImagePull', why: 'ImageUnknown' } as const;
  if (registry !== undefined) {
    const own = digest === undefined ? `${repository}:${tag ?? 'latest'}` : repository;
    const message = `image ${reference} is of another registry, ${registry}, and images come from that of this fleet only; push it with: selvage image push <folder> ${own}, and name it so in the pod`;
    return { ...missing, message };
  }
  const known = `the registry of this fleet has no image ${reference}`;
  const mend =
    digest === undefined
      ? `push it with: selvage image push <folder> ${reference}`
      : `push the one with this digest, or name one that is there`;
  return { ...missing, message: `${known}; ${mend}` };
}
