/** What the operating system says of this process, under the names that Prometheus' own clients use. */
import { readdirSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Metrics } from '#platform/metrics/mod.ts';

const lagResolutionMs = 20;
const nanosecondsPerSecond = 1e9;

export function observeProcess(metrics: Metrics, version: string): void {
  const startSeconds = Date.now() / 1000 - process.uptime();
  const one = (name: string, help: string, type: 'counter' | 'gauge', read: () => number): void =>
    metrics.observed(name, help, type, [], () => [[[], read()]]);
  one('process_cpu_seconds_total', 'Processor time in user and system mode.', 'counter', () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  });
  one('process_resident_memory_bytes', 'Memory that is really there.', 'gauge', () =>
    process.memoryUsage.rss(),
  );
  one(
    'process_start_time_seconds',
    'When the process began, since 1970.',
    'gauge',
    () => startSeconds,
  );
  one('process_open_fds', 'Files and sockets that are open.', 'gauge', () =>
    // One of them is the folder that is being read.
    Math.max(0, readdirSync('/proc/self/fd').length - 1),
  );
  one(
    'nodejs_heap_size_used_bytes',
    'Memory of JavaScript objects.',
    'gauge',
    () => process.memoryUsage().heapUsed,
  );
  const lag = monitorEventLoopDelay({ resolution: lagResolutionMs });
  lag.enable();
  one(
    'nodejs_eventloop_lag_p99_seconds',
    'How late timers ran, since the last look.',
    'gauge',
    () => {
      const seconds = lag.count === 0 ? 0 : lag.percentile(99) / nanosecondsPerSecond;
      lag.reset();
      return Math.max(0, seconds - lagResolutionMs / 1000);
    },
  );
  metrics.observed(
    'selvage_build_info',
    'The program that runs; always 1.',
    'gauge',
    ['version', 'node_version'],
    () => [[[version, process.version], 1]],
  );
}
