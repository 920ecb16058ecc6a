/** Waits for the server of a fleet that was just started: it answers, or has ended, or it takes too long. */
import { textOf } from '#base/mod.ts';
import { sleep } from '#platform/io/mod.ts';
import { type ApiAccess, openApi, requestApi } from './api-access.ts';
import { type CliContext, CommandFailure } from './context.ts';
import type { Fleet } from './fleet.ts';
import { isAwaitingChoice } from './settled-history.ts';

const serverReadyTimeoutMs = 60_000;
const pollMs = 100;
const kubeconfigBytesMax = 1024 * 1024;
const logLinesMax = 15;

/**
 * Resolves once the server is ready, or waits for the choice of its operator; the kubeconfig of
 * the fleet is then the server's. `checkpoint` throws to end the wait. Throws CommandFailure
 * with the server's last words where it ends, and with its last answer where it takes too long.
 */
export async function waitForServer(
  context: CliContext,
  fleet: Fleet,
  checkpoint: () => void,
): Promise<{ readonly access: ApiAccess; readonly isAwaitingChoice: boolean }> {
  const startedMs = context.clock.monotonicMs();
  let lastWords = 'it does not answer';
  while (context.clock.monotonicMs() - startedMs < serverReadyTimeoutMs) {
    checkpoint();
    if ((await fleet.running('server')) === undefined) {
      throw new CommandFailure(
        `the server ended while starting. Its last words (${fleet.path('logs/server.log')}):\n${await fleet.logTail('server', logLinesMax)}`,
      );
    }
    const bytes = await fleet.disk.readFile('server/kubeconfig', kubeconfigBytesMax);
    if (bytes !== undefined) {
      const access = await openApi(context, fleet.path('server/kubeconfig'));
      try {
        const answer = await requestApi(access, 'GET', '/readyz');
        const isAwaiting = isAwaitingChoice(answer);
        if (answer.status === 200 || isAwaiting) {
          await fleet.disk.writeFileAtomic('kubeconfig', bytes);
          return { access, isAwaitingChoice: isAwaiting };
        }
        lastWords = `it answers ${answer.status}: ${textOf(answer.bytes).trim()}`;
      } catch (error) {
        if (!(error instanceof CommandFailure)) throw error;
        lastWords = error.message;
      }
    }
    await sleep(context.timers, pollMs);
  }
  throw new CommandFailure(
    `the server runs, but is not ready after ${serverReadyTimeoutMs / 1000} s (${lastWords}); see ${fleet.path('logs/server.log')}.`,
  );
}
