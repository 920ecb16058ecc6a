/** A process that simulates the seeds that its parent sends it, one after the other. */
import { assert } from '#base/mod.ts';
import type { RunRequest } from './request.ts';
import { runSeed } from './run-seed.ts';

export interface WorkerTask {
  readonly run: RunRequest;
  readonly seed: number;
}

assert(process.send !== undefined, 'a worker has a parent');
process.on('message', (task: WorkerTask) => {
  void runSeed(task.run, task.seed).then((outcome) => process.send?.(outcome));
});
process.on('disconnect', () => process.exit(0));
