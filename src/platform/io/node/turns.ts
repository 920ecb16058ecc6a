/** The turns of Node's event loop, for simulations. */
import { assert } from '#base/mod.ts';
import type { HostTurns } from '../turns.ts';

interface ProcessWithTicks {
  /**
   * What Node itself calls between two immediates: microtasks, ticks and rejections
   * that nobody handles. The only way to have them run without a turn of the event
   * loop, which costs fifty times as much.
   */
  _tickCallback(): void;
}

/** The first turn asserts that this version of Node does what is asked of it. */
export function createNodeTurns(): HostTurns {
  const host = process as unknown as ProcessWithTicks;
  let isProven = false;
  const prove = (): void => {
    let steps = 0;
    const count = async (): Promise<void> => {
      for (; steps < 3; steps += 1) await Promise.resolve();
    };
    void count();
    host._tickCallback();
    assert(steps === 3, 'this version of Node runs microtasks when asked to');
    isProven = true;
  };
  return {
    later: (run) => {
      setImmediate(() => {
        if (!isProven) prove();
        run();
      });
    },
    runMicrotasks: () => host._tickCallback(),
  };
}
