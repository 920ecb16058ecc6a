/**
 * What the contract suites of the ports have in common. A suite registers
 * node:test cases; every driver of a port, real or simulated, passes the same.
 * The suites read no real time: they wait by `passTime`, which sleeps over a real
 * driver and advances virtual time over a simulated one.
 */
import { test } from 'node:test';
import { assert } from '#base/mod.ts';

export interface Harness {
  close(): Promise<void>;
  /**
   * Runs one case to its end. A driver with virtual time advances it here until the
   * body settles; absent means that the body is simply awaited.
   */
  readonly run?: <Result>(body: () => Promise<Result>) => Promise<Result>;
}

export interface TimedHarness extends Harness {
  /** Resolves once `durationMs` of the driver's own time has passed. */
  readonly passTime: (durationMs: number) => Promise<void>;
}

/** Thrown by a case that this driver cannot show (say, a power cut of a real disk). */
export class SkipCase extends Error {}

/** Registers one case: opens a fresh harness, runs the body over it, closes it. */
export function contractCase<Opened extends Harness>(
  name: string,
  open: () => Promise<Opened>,
  body: (opened: Opened) => Promise<void>,
): void {
  test(name, async (context) => {
    const opened = await open();
    try {
      const run = opened.run ?? ((work) => work());
      await run(() => body(opened));
    } catch (thrown) {
      if (!(thrown instanceof SkipCase)) throw thrown;
      context.skip(thrown.message);
    } finally {
      await opened.close();
    }
  });
}

/** Waits until `holds`, looking every `stepMs` of the driver's time; fails after `limitMs`. */
export async function eventually(
  harness: TimedHarness,
  what: string,
  holds: () => boolean,
  limitMs = 5_000,
  stepMs = 5,
): Promise<void> {
  for (let waitedMs = 0; !holds(); waitedMs += stepMs) {
    assert(waitedMs < limitMs, `within ${limitMs} ms: ${what}`);
    await harness.passTime(stepMs);
  }
}

/** What a promise that must reject rejected with. */
export async function rejection(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
  } catch (thrown) {
    return thrown;
  }
  throw new Error('expected a rejection');
}
