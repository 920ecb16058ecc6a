/**
 * Runs one reconcile function over a queue of keys.
 *
 * Invariants:
 * 1. One key is worked on by one call at a time; at most concurrencyMax keys at once.
 * 2. A failure never ends the controller: the key comes back after a growing delay.
 */
import { AssertionFailure, errorText, SelvageError } from '#base/mod.ts';
import type { Logger } from '#platform/io/mod.ts';
import type { WorkQueue } from './work-queue.ts';

/** What is left to do about a key although the call went well. */
export interface ReconcileResult {
  /** Look again after this long, though nothing changes meanwhile. */
  readonly againAfterMs?: number;
}

export interface ControllerOptions {
  readonly name: string;
  readonly queue: WorkQueue;
  readonly logger: Logger;
  /** Reads the present state of `key` and brings it nearer to what is wanted. */
  readonly reconcile: (key: string) => Promise<ReconcileResult | void>;
  readonly concurrencyMax?: number;
}

export interface RunningController {
  readonly name: string;
  /** Takes no more keys; resolves when the calls under way have come back. */
  close(): Promise<void>;
}

const concurrencyMaxDefault = 4;

export function runController(options: ControllerOptions): RunningController {
  const { name, queue, reconcile } = options;
  const logger = options.logger.with({ controller: name });
  const concurrencyMax = options.concurrencyMax ?? concurrencyMaxDefault;
  const underWay = new Set<Promise<void>>();
  let closed = false;

  function pump(): void {
    while (underWay.size < concurrencyMax) {
      const key = closed ? undefined : queue.take();
      if (key === undefined) return;
      const call = work(key).finally(() => {
        underWay.delete(call);
        pump();
      });
      underWay.add(call);
    }
  }

  async function work(key: string): Promise<void> {
    try {
      const result = await reconcile(key);
      queue.forget(key);
      if (result?.againAfterMs !== undefined) queue.addAfter(key, result.againAfterMs);
    } catch (error) {
      if (error instanceof AssertionFailure) throw error;
      // Somebody else was faster: that is how optimistic writes go, not a fault.
      const level = error instanceof SelvageError && error.retryable ? 'debug' : 'warn';
      logger.log(level, 'reconcile failed, will try again', { key, error: errorText(error) });
      queue.retry(key);
    } finally {
      queue.done(key);
    }
  }

  queue.onReady(pump);
  pump();

  return {
    name,
    async close() {
      closed = true;
      queue.close();
      await Promise.allSettled(underWay);
    },
  };
}
