/**
 * Brings one blob over the link into the blob store: `blob.fetch` from the byte
 * where the last attempt stopped, verified by its digest when it is whole.
 */
import { assert, errorText } from '#base/mod.ts';
import {
  BlobError,
  isDigest,
  type BlobStore,
  type BlobUpload,
  type Digest,
} from '#platform/blobs/mod.ts';
import type { Timer, Timers } from '#platform/io/mod.ts';
import type { LinkSession, StreamFailure } from '#platform/wire/mod.ts';
import { AgentError } from '../errors.ts';

export interface BlobFetchDependencies {
  readonly blobs: BlobStore;
  readonly timers: Timers;
  /** The link as it is now; undefined while there is none. */
  readonly session: () => LinkSession | undefined;
}

export interface BlobFetcher {
  /**
   * Resolves when the store has the blob. One at a time; callers for the same blob
   * share it. Rejects with AgentError IMAGE_UNREACHABLE (try again, it goes on
   * where it stopped) or IMAGE_INVALID (larger than `maxBytes`, damaged or not known
   * above). `onReceived` hears how much of it is here; of those who share it the first.
   */
  ensure(
    digest: Digest,
    maxBytes: number,
    onReceived?: (receivedBytes: number) => void,
  ): Promise<void>;
}

const stallTimeoutMs = 30_000;
const pushAgain = 'push the image again: selvage image push <folder> <name>';

export function createBlobFetcher(dependencies: BlobFetchDependencies): BlobFetcher {
  const { blobs, timers } = dependencies;
  const running = new Map<Digest, Promise<void>>();
  let tail: Promise<void> = Promise.resolve();
  /** What a cut attempt left, for the next one of the same blob. */
  let partial: { readonly digest: Digest; readonly uploadId: string } | undefined;

  async function uploadFor(digest: Digest): Promise<BlobUpload> {
    const left = partial?.digest === digest ? blobs.upload(partial.uploadId) : undefined;
    if (left !== undefined) return left;
    if (partial !== undefined) await blobs.upload(partial.uploadId)?.cancel();
    const upload = await blobs.begin();
    partial = { digest, uploadId: upload.id };
    return upload;
  }

  async function fetch(
    digest: Digest,
    maxBytes: number,
    onReceived: (receivedBytes: number) => void,
  ): Promise<void> {
    const sizeBytes = await blobs.sizeBytes(digest);
    if (sizeBytes !== undefined) {
      if (sizeBytes > maxBytes) throw tooLarge(digest, maxBytes);
      return;
    }
    const session = dependencies.session();
    if (session === undefined) throw unreachable('there is no link to the hub');
    const upload = await uploadFor(digest);
    try {
      await receive(session, upload, digest, maxBytes, onReceived);
    } catch (error) {
      if (!(error instanceof AgentError && error.retryable)) {
        partial = undefined;
        await upload.cancel();
      }
      throw error;
    }
    partial = undefined;
    await upload.commit(digest).catch((error: unknown) => {
      if (!(error instanceof BlobError) || error.code !== 'BLOB_DIGEST_MISMATCH') throw error;
      throw new AgentError('IMAGE_INVALID', `${error.message}; ${pushAgain}`, { cause: error });
    });
  }

  function receive(
    session: LinkSession,
    upload: BlobUpload,
    digest: Digest,
    maxBytes: number,
    onReceived: (receivedBytes: number) => void,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const stream = session.open('bulk', 'blob.fetch', { digest, offset: upload.sizeBytes });
      let failure: Error | undefined;
      let appending: Promise<void> = Promise.resolve();
      let receivedBytes = upload.sizeBytes;
      let stall: Timer | undefined;
      const giveUp = (error: Error, code: string): void => {
        failure ??= error;
        stream.fail({ code, message: error.message });
      };
      const watch = (): void => {
        stall?.cancel();
        stall = timers.after(stallTimeoutMs, () => {
          giveUp(unreachable(`no byte for ${stallTimeoutMs} ms`), 'BLOB_STALLED');
        });
      };
      watch();
      stream.onMessage(async (bytes) => {
        watch();
        if (failure !== undefined) return;
        receivedBytes += bytes.length;
        onReceived(receivedBytes);
        if (receivedBytes > maxBytes) {
          giveUp(tooLarge(digest, maxBytes), 'BLOB_TOO_LARGE');
          return;
        }
        const append = (): Promise<void> => upload.append(bytes);
        appending = appending.then(append).catch((error: unknown) => {
          giveUp(unreachable(errorText(error), error), 'BLOB_IO');
        });
        await appending;
      });
      stream.onClose((closed) => {
        stall?.cancel();
        void appending.then(() => {
          const error = failure ?? (closed === undefined ? undefined : failureOf(closed, digest));
          if (error === undefined) resolve();
          else reject(error);
        });
      });
      stream.end();
    });
  }

  return {
    ensure(digest, maxBytes, onReceived = () => {}) {
      assert(isDigest(digest), 'a blob is fetched by its digest');
      const shared = running.get(digest);
      if (shared !== undefined) return shared;
      const work = tail.then(() => fetch(digest, maxBytes, onReceived));
      tail = work.catch(() => undefined);
      running.set(digest, work);
      const forget = (): void => {
        running.delete(digest);
      };
      work.then(forget, forget);
      return work;
    },
  };
}

function failureOf(failure: StreamFailure, digest: Digest): AgentError {
  if (failure.code === 'BLOB_NOT_FOUND') {
    return new AgentError('IMAGE_INVALID', `the server has no ${digest}; ${pushAgain}`);
  }
  if (failure.code === 'BLOB_DAMAGED') {
    const text = `${digest} is damaged on the server's disk and was set aside there; ${pushAgain}`;
    return new AgentError('IMAGE_INVALID', text);
  }
  return unreachable(failure.message);
}

function tooLarge(digest: Digest, maxBytes: number): AgentError {
  return new AgentError('IMAGE_INVALID', `${digest} has more than ${maxBytes} bytes`);
}

function unreachable(message: string, cause?: unknown): AgentError {
  return new AgentError('IMAGE_UNREACHABLE', message, { cause, retryable: true });
}
