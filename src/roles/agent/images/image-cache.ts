/**
 * Images on this node: fetched by digest, verified down to the layers, and
 * unpacked to plain files that containers are started from.
 *
 * Invariants:
 * 1. `images/<digits of the manifest's digest>` is whole: it gets its name by a
 *    rename after everything in it is on disk. An agent compares it, and the blobs
 *    that it was made from, with their digests before it first starts something from it.
 * 2. An image is removed only by `removeUnused`, and not while anything that it is told of
 *    uses it or a part of it.
 * 3. One pull per image at a time, whoever waits for it; after a failure the next
 *    one waits, longer each time, but not beyond a new link.
 */
import { errorText } from '#base/mod.ts';
import type { Clock, Disk, Timer, Timers } from '#platform/io/mod.ts';
import { backOffDelayMs, pullBackOff } from '../back-off.ts';
import type { Digest } from '#platform/blobs/mod.ts';
import { AgentError } from '../errors.ts';
import type { BlobFetcher } from './blob-fetch.ts';
import { pullImage, type ImageSource, type PullProgress } from './image-pull.ts';

export interface UnpackedImage {
  /** Of the index that the pod was assigned with. */
  readonly digest: string;
  /** As its configuration says it, e.g. `script/javascript`. */
  readonly platform: string;
  /** Absolute path of its files. */
  readonly bundle: string;
  readonly entrypoint: readonly string[];
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

export type ImageState =
  | { readonly status: 'ready'; readonly image: UnpackedImage }
  | { readonly status: 'pulling'; readonly progress?: PullProgress }
  | {
      readonly status: 'failed';
      /** For people; `isWaiting` once the failure itself has been told. */
      readonly message: string;
      readonly isRetryable: boolean;
    };

export interface ImageCache {
  /** What is known of the image, by digest. Begins to pull it where that is due. */
  want(digest: string): ImageState;
  /**
   * Gives back the room of images that nobody in `inUse` (digests as in `want`) needs;
   * answers how many went. One that is wanted later is pulled again.
   */
  removeUnused(inUse: ReadonlySet<string>): Promise<number>;
  /** A new link: what was out of reach is tried at once. */
  retryUnreachable(): void;
  /** Called when `want` would answer differently. */
  onChange(listener: (digest: string) => void): void;
  close(): void;
}

export interface ImageCacheDependencies extends ImageSource {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly timers: Timers;
}

interface Entry {
  state: ImageState;
  /** Blobs that it was made from. */
  parts: ReadonlySet<Digest>;
  failuresInRow: number;
  /** On the monotonic clock; only for failed ones. */
  retryAtMs: number;
  retryTimer: Timer | undefined;
}

/** Far more than a node can run at one time; those that are being pulled come on top. */
const imagesKnownMax = 1000;

export async function openImageCache(
  dependencies: ImageCacheDependencies,
  options: { readonly platforms: readonly string[] },
): Promise<ImageCache> {
  const { disk, clock, timers, logger } = dependencies;
  const entries = new Map<string, Entry>();
  const listeners: ((digest: string) => void)[] = [];
  let isClosed = false;
  await disk.makeDirectory('images');
  for (const entry of await disk.list('images')) {
    if (entry.name.startsWith('partial-')) await disk.remove(`images/${entry.name}`);
  }

  function tell(digest: string): void {
    if (!isClosed) for (const listener of listeners) listener(digest);
  }

  async function pull(digest: string, entry: Entry): Promise<void> {
    try {
      const parts = new Set<Digest>();
      const ensure: BlobFetcher['ensure'] = (part, ...more) => {
        parts.add(part);
        return dependencies.fetcher.ensure(part, ...more);
      };
      entry.parts = parts;
      const source = { ...dependencies, fetcher: { ensure } };
      const image = await pullImage(source, disk, digest, options.platforms, (progress) => {
        entry.state = { status: 'pulling', progress };
      });
      entry.state = { status: 'ready', image };
    } catch (error) {
      if (isClosed) return;
      entry.failuresInRow += 1;
      const delayMs = backOffDelayMs(pullBackOff, entry.failuresInRow);
      entry.retryAtMs = clock.monotonicMs() + delayMs;
      const isRetryable = error instanceof AgentError && error.retryable;
      entry.state = { status: 'failed', message: errorText(error), isRetryable };
      logger.log('warn', 'cannot pull an image', { digest, error: errorText(error), delayMs });
      entry.retryTimer = timers.after(delayMs, () => tell(digest));
    }
    tell(digest);
  }

  /** What was known longest is asked for anew when it is wanted again; its files stay. */
  function forgetOldest(): void {
    if (entries.size < imagesKnownMax) return;
    for (const [digest, entry] of entries) {
      if (entry.state.status === 'pulling') continue;
      entry.retryTimer?.cancel();
      entries.delete(digest);
      return;
    }
  }

  return {
    want(digest) {
      let entry = entries.get(digest);
      if (entry === undefined) {
        forgetOldest();
        entry = {
          state: { status: 'pulling' },
          parts: new Set(),
          failuresInRow: 0,
          retryAtMs: 0,
          retryTimer: undefined,
        };
        entries.set(digest, entry);
        void pull(digest, entry);
      } else if (entry.state.status === 'failed' && clock.monotonicMs() >= entry.retryAtMs) {
        entry.retryTimer?.cancel();
        entry.state = { status: 'pulling' };
        void pull(digest, entry);
      }
      return entry.state;
    },
    async removeUnused(inUse) {
      const isKept = ([digest, { state }]: readonly [string, Entry]): boolean =>
        inUse.has(digest) || state.status !== 'ready';
      const kept = [...entries].filter(isKept).map(([, entry]) => entry);
      const unused = [...entries].filter((entry) => !isKept(entry));
      const keptParts = new Set(kept.flatMap(({ parts }) => [...parts]));
      const keptBundles = new Set(
        kept.flatMap(({ state }) => (state.status === 'ready' ? [state.image.bundle] : [])),
      );
      for (const [digest, { state, parts }] of unused) {
        entries.delete(digest);
        for (const part of parts) if (!keptParts.has(part)) await dependencies.blobs.remove(part);
        if (state.status !== 'ready' || keptBundles.has(state.image.bundle)) continue;
        await disk.remove(
          `images/${state.image.bundle.slice(state.image.bundle.lastIndexOf('/') + 1)}`,
        );
      }
      return unused.length;
    },
    retryUnreachable() {
      for (const [digest, entry] of entries) {
        if (entry.state.status !== 'failed' || !entry.state.isRetryable) continue;
        entry.retryAtMs = clock.monotonicMs();
        tell(digest);
      }
    },
    onChange(listener) {
      listeners.push(listener);
    },
    close() {
      isClosed = true;
      for (const entry of entries.values()) entry.retryTimer?.cancel();
    },
  };
}
