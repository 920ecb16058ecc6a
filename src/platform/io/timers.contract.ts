/** What every driver of the Clock and Timers ports must do together. */
import assert from 'node:assert/strict';
import { sleep, type Clock, type Timers } from './clock.ts';
import { contractCase, type TimedHarness } from './harness.contract.ts';

export interface TimersHarness extends TimedHarness {
  readonly clock: Clock;
  readonly timers: Timers;
}

/** Registers the cases of the Clock and Timers ports. */
export function timersContract(name: string, open: () => Promise<TimersHarness>): void {
  const check = (behaviour: string, body: (opened: TimersHarness) => Promise<void>): void =>
    contractCase(`timers (${name}): ${behaviour}`, open, body);

  check('timers run in the order of their instants, never before', async (opened) => {
    const { clock, timers, passTime } = opened;
    const startMs = clock.monotonicMs();
    const ran: [string, boolean][] = [];
    const set = (label: string, delayMs: number): void => {
      timers.after(delayMs, () => {
        ran.push([label, clock.monotonicMs() - startMs >= delayMs]);
      });
    };
    set('last', 60);
    set('first', 0);
    set('third', 20);
    set('fourth', 20);
    assert.deepEqual(ran, [], 'never from within after()');
    await passTime(200);
    assert.deepEqual(ran, [
      ['first', true],
      ['third', true],
      ['fourth', true],
      ['last', true],
    ]);
  });

  check('a cancelled timer never runs, and cancelling again is harmless', async (opened) => {
    const { timers, passTime } = opened;
    const ran: string[] = [];
    const cancelled = timers.after(10, () => ran.push('cancelled'));
    const second = timers.after(21, () => ran.push('cancelled by the other'));
    const other = timers.after(20, () => {
      ran.push('other');
      second.cancel();
    });
    cancelled.cancel();
    cancelled.cancel();
    await passTime(80);
    other.cancel();
    assert.deepEqual(ran, ['other']);
  });

  check('a timer set by a timer runs', async ({ timers, passTime }) => {
    let chain = 0;
    const again = (): void => {
      chain += 1;
      if (chain < 5) timers.after(1, again);
    };
    timers.after(1, again);
    await passTime(200);
    assert.equal(chain, 5);
  });

  check('the clocks go on together while time passes', async ({ clock, timers }) => {
    const before = [clock.monotonicMs(), clock.bootMs(), clock.wallMs()] as const;
    assert.ok(before[1] >= 0 && Number.isInteger(before[2]));
    await sleep(timers, 50);
    const after = [clock.monotonicMs(), clock.bootMs(), clock.wallMs()] as const;
    assert.ok(after[0] - before[0] >= 50, 'monotonic');
    assert.ok(after[1] - before[1] >= 35, 'boot, which may be as coarse as 10 ms');
    assert.ok(after[2] - before[2] >= 45, 'wall');
  });

  check('a delay beyond 2^31 ms does not run at once', async ({ timers, passTime }) => {
    let ran = false;
    const timer = timers.after(2 ** 31 + 5_000, () => {
      ran = true;
    });
    await passTime(30);
    timer.cancel();
    assert.equal(ran, false);
  });
}
