export { type BackOffLimits } from './back-off.ts';
export {
  type ControllerOptions,
  type ReconcileResult,
  runController,
  type RunningController,
} from './controller.ts';
export { createInformer, type Informer, type InformerOptions } from './informer.ts';
export { type Manager, runManager } from './manager.ts';
export { type Change, type IndexOf, keyOf } from './object-cache.ts';
export { createWorkQueue, type WorkQueue, type WorkQueueOptions } from './work-queue.ts';
