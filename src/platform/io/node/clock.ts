/**
 * The clocks of this machine.
 *
 * boot is read from the kernel's uptime, which counts sleep, is the same number in
 * every process and never goes back. It is as coarse as 10 ms (rounded down). A
 * finer value derived from the monotonic clock would differ between processes
 * after a sleep, which is the one thing that leases must not see.
 */
import { uptime } from 'node:os';
import type { Clock } from '../clock.ts';

export function createNodeClock(): Clock {
  return {
    // Not `performance`: with it comes a part of Node.js that no agent needs.
    monotonicMs: () => {
      const [seconds, nanoseconds] = process.hrtime();
      return seconds * 1_000 + nanoseconds / 1_000_000;
    },
    bootMs: () => Math.floor(uptime() * 1000),
    wallMs: () => Date.now(),
  };
}
