/** Starts informers and the controllers that read from them together, and stops them together. */
import type { Informer } from './informer.ts';
import type { RunningController } from './controller.ts';

export interface Manager {
  /** Resolves when every informer has its first list; controllers run from then on. */
  ready(): Promise<void>;
  /** Stops taking work, waits for what is under way, then stops watching. */
  close(): Promise<void>;
}

/** `startControllers` is called once, when all informers have synced, unless closed before. */
export function runManager(
  informers: readonly Pick<Informer, 'start' | 'close' | 'whenSynced'>[],
  startControllers: () => readonly RunningController[],
): Manager {
  let controllers: readonly RunningController[] = [];
  let closed = false;
  const closing = Promise.withResolvers<void>();
  for (const informer of informers) informer.start();
  const synced = Promise.all(informers.map((informer) => informer.whenSynced()));
  const ready = Promise.race([synced, closing.promise]).then(() => {
    if (!closed) controllers = startControllers();
  });
  return {
    ready: () => ready,
    async close() {
      closed = true;
      closing.resolve();
      await ready;
      await Promise.all(controllers.map((controller) => controller.close()));
      for (const informer of informers) informer.close();
    },
  };
}
