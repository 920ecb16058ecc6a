/** What `up` does with a server that waits for its operator: it says so, and waits with it. */
import { textOf } from '#base/mod.ts';
import { sleep, type Timer, type Timers } from '#platform/io/mod.ts';
import { type ApiAccess, requestApi } from './api-access.ts';
import { CommandFailure } from './context.ts';

const pollMs = 500;
const watchMs = 2_000;

export interface SettledHistory {
  /** True where the server takes no changes because nodes know another history. */
  isAwaited(): Promise<boolean>;
  /** Does the work once the server takes changes; again where it stopped taking them meanwhile. */
  whenSettled<Result>(work: () => Promise<Result>): Promise<Result>;
  /** Goes on looking and says when it begins and ends: nodes may be back only later. */
  watch(): { close(): void };
}

export function settledHistory(options: {
  readonly access: ApiAccess;
  readonly timers: Timers;
  /** Throws to end the wait. */
  readonly checkpoint: () => void;
  readonly say: (text: string) => void;
  /** As a person would call this program. */
  readonly program: string;
  readonly kubeconfigPath: string;
}): SettledHistory {
  const { access, timers, checkpoint, say, program, kubeconfigPath } = options;
  let hasSaid = false;
  const isAwaited = async (): Promise<boolean> =>
    isAwaitingChoice(await requestApi(access, 'GET', '/readyz'));
  const tell = (isWaiting: boolean): void => {
    if (isWaiting === hasSaid) return;
    hasSaid = isWaiting;
    if (!isWaiting) {
      say('the server takes changes again');
      return;
    }
    const command = (choice: string): string =>
      `${program} restore ${choice} --kubeconfig ${kubeconfigPath}`;
    say(
      [
        'the server takes no changes: nodes have another history than it has, as after a restore. Pods go on. Choose, in another terminal:',
        `    ${command('adopt --dry-run')}`,
        `    ${command('adopt')}      take over what the nodes hold`,
        `    ${command('impose')}     the state of the server counts`,
        '  or press Ctrl-C and restore a newer backup. Waiting.',
      ].join('\n'),
    );
  };
  const wait = async (): Promise<void> => {
    for (;;) {
      const isWaiting = await isAwaited();
      tell(isWaiting);
      if (!isWaiting) return;
      checkpoint();
      await sleep(timers, pollMs);
    }
  };
  return {
    isAwaited,
    async whenSettled(work) {
      for (;;) {
        await wait();
        try {
          return await work();
        } catch (error) {
          if (!(error instanceof CommandFailure) || !(await isAwaited())) throw error;
        }
      }
    },
    watch() {
      let timer: Timer | undefined;
      const look = async (): Promise<void> => {
        try {
          tell(await isAwaited());
        } catch (error) {
          // A server that does not answer is told of elsewhere.
          if (!(error instanceof CommandFailure)) throw error;
        }
        if (!isOver) timer = timers.after(watchMs, () => void look());
      };
      let isOver = false;
      void look();
      return {
        close() {
          isOver = true;
          timer?.cancel();
        },
      };
    },
  };
}

/** Whether an answer of /readyz says that an operator has to decide. */
export function isAwaitingChoice(answer: {
  readonly status: number;
  readonly bytes: Uint8Array;
}): boolean {
  return answer.status === 503 && textOf(answer.bytes).includes('restore adopt');
}
