/** How a role's process is told to end. */

export type StopSignal = 'SIGINT' | 'SIGTERM';

/** Resolves with the first SIGINT or SIGTERM (SIGHUP counts as that); a later one does not end the process by itself. */
export function untilToldToStop(): Promise<StopSignal> {
  return new Promise((resolve) => {
    process.on('SIGINT', () => resolve('SIGINT'));
    process.on('SIGTERM', () => resolve('SIGTERM'));
    process.on('SIGHUP', () => resolve('SIGTERM'));
  });
}
