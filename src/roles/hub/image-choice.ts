/** Which bytes each image of a pod means: by its tag, and by the runtime that the pod's class names. */
import { isJsonObject } from '#base/mod.ts';
import { runtimePlatforms } from '#platform/api/mod.ts';
import type { ResolvedImage } from '#platform/blobs/mod.ts';
import type { StoredObject, StoreView } from '#platform/store/mod.ts';
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
}

/** `resolved`: by reference, undefined for what nothing is known of. */
export function chooseImages(
  view: Pick<StoreView, 'get'>,
  pod: StoredObject,
  resolved: ReadonlyMap<string, ResolvedImage | undefined>,
): ChosenImages | NoImages {
  const className = runtimeClassOf(pod);
  const runtime = className === undefined ? undefined : handlerOf(view, className);
  if (className !== undefined && runtime === undefined) {
    const message = `spec.runtimeClassName is ${JSON.stringify(className)}, and there is no such RuntimeClass`;
    return { type: 'none', reason: 'RuntimeClassNotFound', message };
  }
  const digests: Record<string, string> = {};
  const platforms: (readonly string[])[] = [];
  for (const reference of imagesOf(pod)) {
    const image = resolved.get(reference);
    if (image === undefined) return imageMissing(reference);
    // A runtime that is not known here is on no node, which the plan says.
    const known = runtime === undefined ? undefined : runtimePlatforms[runtime];
    if (known === undefined) {
      digests[reference] = image.digest;
      platforms.push(image.platforms);
      continue;
    }
    const platform = known.find((one) => image.byPlatform[one] !== undefined);
    const digest = platform === undefined ? undefined : image.byPlatform[platform];
    if (platform === undefined || digest === undefined) {
      const message = `image ${reference} is for ${image.platforms.join(', ')}; RuntimeClass ${className} runs ${known.join(', ')}`;
      return { type: 'none', reason: 'ImageUnsuitable', message };
    }
    digests[reference] = digest;
    platforms.push([platform]);
  }
  return { type: 'chosen', digests, platforms, runtime };
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

function imageMissing(image: string): NoImages {
  return {
    type: 'none',
    reason: 'ImageUnknown',
    message: `the registry of this fleet has no image ${image}; push it with: selvage image push <folder> ${image}`,
  };
}
